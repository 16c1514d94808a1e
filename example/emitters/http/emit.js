#!/usr/bin/env node
// Emits one event by POST /emit: emit.js EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.
// KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
// each KEY.
// Environment: WS_EMIT_URL (http://localhost:8899), SECRET, the one that ws-emit was started with. Needs nothing but Node 18.
'use strict';

function fail(code, sentence) {
  console.error(`emit.js: ${sentence}`);
  process.exit(code);
}

async function main() {
  const [event, room, json = 'null', keepJSON, key, ...rest] = process.argv.slice(2);
  if (room === undefined || rest.length > 0) fail(64, 'usage: emit.js EVENT ROOM [JSON [KEEP [KEY]]]');
  const secret = process.env.SECRET || fail(64, 'SECRET is not set: it is the one that ws-emit was started with');
  let data, keep;
  try {
    data = JSON.parse(json);
    keep = JSON.parse(keepJSON || 'null');
  } catch (problem) {
    fail(65, `the JSON is not valid: ${problem.message}`);
  }

  const url = `${process.env.WS_EMIT_URL || 'http://localhost:8899'}/emit`;
  let answer, text;
  try {
    answer = await fetch(url, {
      method: 'POST',
      headers: {'Content-Type': 'application/json'},
      body: JSON.stringify({event, room, data, keep, key, secret}),
      signal: AbortSignal.timeout(10000),
    });
    text = (await answer.text()).trim();
  } catch {
    fail(69, `nothing answers at ${url}`);
  }
  if (!answer.ok) {
    try { text = JSON.parse(text).error; } catch { /* a refusal in plain words */ }
    fail(69, `ws-emit says: ${text}`);
  }
  console.log(text);
}

main();
