#!/bin/sh
# Sends your own message to the time example by HTTP: example/emit.sh [EVENT [ROOM [JSON]]]
# Environment: WS_EMIT_URL (http://localhost:8899), SECRET (123), the secret of ws-emit.
set -eu
time='{"time": 111111}'
SECRET=${SECRET:-123} exec "$(dirname "$0")/emitters/http/emit-curl.sh" "${1:-update}" "${2:-time}" "${3:-$time}"
