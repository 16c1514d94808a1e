#!/usr/bin/env node
// Emits one event on the Redis channel: emit.js EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.
// KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
// each KEY.
// REDIS in the environment names the server: redis://[[user]:password@]host[:port]. Prints how many servers got the event.
// Needs nothing but Node.
'use strict';
const net = require('node:net');

const CHANNEL = 'flask-socketio';

/** A pickle's opcodes for a value: X is a text, I an integer, G a float; a list stands in ](...e, a dict in }(...u. */
function pickle(value) {
  if (value === null || value === undefined) return Buffer.from('N');
  if (typeof value === 'boolean') return Buffer.from([value ? 0x88 : 0x89]);
  if (Number.isSafeInteger(value)) return Buffer.from(`I${value}\n`);
  if (typeof value === 'number') {
    const bytes = Buffer.from('G12345678');
    bytes.writeDoubleBE(value, 1);
    return bytes;
  }
  if (typeof value === 'string') {
    const text = Buffer.from(value), length = Buffer.alloc(4);
    length.writeUInt32LE(text.length);
    return Buffer.concat([Buffer.from('X'), length, text]);
  }
  if (Array.isArray(value)) return Buffer.concat([Buffer.from(']('), ...value.map(pickle), Buffer.from('e')]);
  return Buffer.concat([Buffer.from('}('), ...Object.entries(value).flat().map(pickle), Buffer.from('u')]);
}

function fail(code, sentence) {
  console.error(`emit.js: ${sentence}`);
  process.exit(code);
}

function command(...words) {
  const parts = words.map(word => Buffer.from(word)).map(word => [Buffer.from(`$${word.length}\r\n`), word, Buffer.from('\r\n')]);
  return Buffer.concat([Buffer.from(`*${words.length}\r\n`), ...parts.flat()]);
}

const [event, room, json = 'null', keepJSON, key, ...rest] = process.argv.slice(2);
if (room === undefined || rest.length > 0) fail(64, 'usage: emit.js EVENT ROOM [JSON [KEEP [KEY]]]');
let data, keep;
try {
  data = JSON.parse(json);
  keep = JSON.parse(keepJSON || 'null');
} catch (problem) {
  fail(65, `the JSON is not valid: ${problem.message}`);
}
const message = pickle({method: 'emit', event, data, namespace: '/', room: room || null, keep, key: key || null});
const commands = [command('PUBLISH', CHANNEL, Buffer.concat([Buffer.from([0x80, 2]), message, Buffer.from('.')]))];

const address = process.env.REDIS || 'redis://localhost:6379';
if (!/^redis:\/\//.test(address)) fail(64, 'REDIS is no URL such as redis://localhost:6379');
const url = new URL(address);
if (url.password) {
  const login = [url.username, url.password].filter(word => word).map(decodeURIComponent);
  commands.unshift(command('AUTH', ...login));
}
const redis = net.connect(Number(url.port || 6379), (url.hostname || 'localhost').replace(/[[\]]/g, ''));
redis.setTimeout(5000, () => fail(69, 'Redis does not answer'));
redis.on('error', problem => fail(69, `Redis can't be reached: ${problem.message || problem.code}`));
redis.on('end', () => fail(69, 'Redis closes the connection'));
redis.write(Buffer.concat(commands));

let answers = '';
redis.on('data', chunk => {
  answers += chunk;
  const lines = answers.split('\r\n').slice(0, -1);
  const refusal = lines.find(line => !/^[+:]/.test(line));
  if (refusal) fail(69, `Redis says: ${refusal}`);
  if (lines.length < commands.length) return;
  console.log(lines.at(-1).slice(1));
  redis.destroy();
});
