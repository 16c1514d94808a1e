#!/usr/bin/env php
<?php
// Emits one event by POST /emit: emit.php EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.
// KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
// each KEY.
// Environment: WS_EMIT_URL (http://localhost:8899), SECRET, the one that ws-emit was started with. Needs nothing but PHP.

function fail(int $code, string $sentence): never {
    fwrite(STDERR, "emit.php: $sentence\n");
    exit($code);
}

if ($argc < 3 || $argc > 6) fail(64, 'usage: emit.php EVENT ROOM [JSON [KEEP [KEY]]]');
$secret = getenv('SECRET') ?: fail(64, 'SECRET is not set: it is the one that ws-emit was started with');
try {
    $data = json_decode($argv[3] ?? 'null', flags: JSON_THROW_ON_ERROR);
    $keep = json_decode(($argv[4] ?? '') === '' ? 'null' : $argv[4], flags: JSON_THROW_ON_ERROR);
    $message = [
        'event' => $argv[1], 'room' => $argv[2], 'data' => $data, 'keep' => $keep, 'key' => $argv[5] ?? null,
        'secret' => $secret,
    ];
    $body = json_encode($message, JSON_THROW_ON_ERROR | JSON_PRESERVE_ZERO_FRACTION);
} catch (JsonException $problem) {
    fail(65, 'the JSON is not valid: ' . $problem->getMessage());
}

$url = (getenv('WS_EMIT_URL') ?: 'http://localhost:8899') . '/emit';
$answer = @file_get_contents($url, context: stream_context_create(['http' => [
    'method' => 'POST', 'header' => 'Content-Type: application/json', 'content' => $body,
    'timeout' => 10, 'ignore_errors' => true,
]]));
if ($answer === false) fail(69, "nothing answers at $url");
if (!str_contains($http_response_header[0], ' 200')) fail(69, 'ws-emit says: ' . (json_decode($answer)->error ?? rtrim($answer)));
echo $answer;
