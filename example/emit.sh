#!/bin/sh
# Sends the time example a message of yours by HTTP: example/emit.sh [EVENT [ROOM [JSON]]]
# Environment: WS_EMIT_URL (http://localhost:8899), SECRET, the one that ws-emit was started with (123).
set -eu
time='{"time": 111111}'
SECRET=${SECRET:-123} exec "$(dirname "$0")/emitters/http/emit-curl.sh" "${1:-update}" "${2:-time}" "${3:-$time}"
