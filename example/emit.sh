#!/bin/sh
# Sends one message by HTTP: example/emit.sh [EVENT [ROOM [DATA-AS-JSON]]]
# Environment: WS_EMIT_URL (http://localhost:8899), SECRET, the one that ws-emit was started with (123).
set -eu
event=${1:-update} room=${2:-time} data=${3:-'{"time":111111}'}
exec curl --silent --show-error --fail-with-body "${WS_EMIT_URL:-http://localhost:8899}/emit" \
  -H 'Content-Type: application/json' \
  -d "{\"event\":\"$event\",\"room\":\"$room\",\"data\":$data,\"namespace\":null,\"secret\":\"${SECRET:-123}\"}"
