#!/usr/bin/env node
// Emits one event by POST /emit: emit.js EVENT ROOM [JSON]. An empty ROOM is everybody.
// Environment: WS_EMIT_URL (http://localhost:8899), SECRET, the one that ws-emit was started with. Needs nothing but Node 18.
'use strict';

function fail(code, sentence) {
  console.error(`emit.js: ${sentence}`);
  process.exit(code);
}

async function main() {
  const [event, room, json = 'null', ...rest] = process.argv.slice(2);
  if (room === undefined || rest.length > 0) fail(64, 'usage: emit.js EVENT ROOM [JSON]');
  const secret = process.env.SECRET || fail(64, 'SECRET is not set: it is the one that ws-emit was started with');
  let data;
  try {
    data = JSON.parse(json);
  } catch (problem) {
    fail(65, `the JSON is not valid: ${problem.message}`);
  }

  const url = `${process.env.WS_EMIT_URL || 'http://localhost:8899'}/emit`;
  let answer, text;
  try {
    answer = await fetch(url, {
      method: 'POST',
      headers: {'Content-Type': 'application/json'},
      body: JSON.stringify({event, room, data, secret}),
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
