#!/usr/bin/env php
<?php
// Emits one event on the Redis channel: emit.php EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.
// KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
// each KEY.
// REDIS in the environment names the server: redis://[[user]:password@]host[:port]. Prints how many servers got the event.
// Needs nothing but PHP 8.1.

const CHANNEL = 'flask-socketio';

/** A pickle's opcodes for a value: X is a text, I an integer, G a float; a list stands in ](...e, a dict in }(...u. */
function pickle(mixed $value): string {
    if ($value === null) return 'N';
    if (is_bool($value)) return $value ? "\x88" : "\x89";
    if (is_int($value)) return "I$value\n";
    if (is_float($value)) return 'G' . pack('E', $value);
    if (is_string($value)) return 'X' . pack('V', strlen($value)) . $value;
    if (is_array($value) && array_is_list($value)) return '](' . implode(array_map('pickle', $value)) . 'e';
    $pairs = '';
    foreach ($value as $key => $item) $pairs .= pickle((string) $key) . pickle($item);
    return "}($pairs" . 'u';
}

function fail(int $code, string $sentence): never {
    fwrite(STDERR, "emit.php: $sentence\n");
    exit($code);
}

function command($redis, string ...$words): string {
    $request = '*' . count($words) . "\r\n";
    foreach ($words as $word) $request .= '$' . strlen($word) . "\r\n$word\r\n";
    fwrite($redis, $request);
    $answer = rtrim((string) fgets($redis));
    if (!preg_match('/^[+:]/', $answer)) fail(69, 'Redis says: ' . ($answer ?: 'nothing, and closes the connection'));
    return substr($answer, 1);
}

if ($argc < 3 || $argc > 6) fail(64, 'usage: emit.php EVENT ROOM [JSON [KEEP [KEY]]]');
try {
    $data = json_decode($argv[3] ?? 'null', flags: JSON_THROW_ON_ERROR);
    $keep = json_decode(($argv[4] ?? '') === '' ? 'null' : $argv[4], flags: JSON_THROW_ON_ERROR);
} catch (JsonException $problem) {
    fail(65, 'the JSON is not valid: ' . $problem->getMessage());
}
$message = [
    'method' => 'emit', 'event' => $argv[1], 'data' => $data, 'namespace' => '/', 'room' => $argv[2] === '' ? null : $argv[2],
    'keep' => $keep, 'key' => ($argv[5] ?? '') === '' ? null : $argv[5],
];

$url = parse_url(getenv('REDIS') ?: 'redis://localhost:6379');
if (($url['scheme'] ?? '') !== 'redis') fail(64, 'REDIS is no URL such as redis://localhost:6379');
$address = 'tcp://' . ($url['host'] ?? 'localhost') . ':' . ($url['port'] ?? 6379);
$redis = @stream_socket_client($address, $errno, $error, 5) ?: fail(69, "Redis can't be reached: $error");
stream_set_timeout($redis, 5);
if (isset($url['pass'])) {
    $login = array_map('rawurldecode', array_filter([$url['user'] ?? '', $url['pass']], 'strlen'));
    command($redis, 'AUTH', ...$login);
}
echo command($redis, 'PUBLISH', CHANNEL, "\x80\x02" . pickle($message) . '.'), "\n";
