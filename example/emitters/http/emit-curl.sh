#!/bin/sh
# Emits one event by POST /emit: emit-curl.sh EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.
# KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
# each KEY.
# Environment: WS_EMIT_URL (http://localhost:8899), SECRET, the one that ws-emit was started with. Needs curl.
set -eu

[ $# -ge 2 ] && [ $# -le 5 ] || { echo "emit-curl.sh: usage: emit-curl.sh EVENT ROOM [JSON [KEEP [KEY]]]" >&2; exit 64; }
[ -n "${SECRET:-}" ] || { echo "emit-curl.sh: SECRET is not set: it is the one that ws-emit was started with" >&2; exit 64; }

# A text as JSON.
quoted() { printf '"%s"' "$(printf %s "$1" | sed -e 's/[\\"]/\\&/g' -e 's/\t/\\t/g' -e ':a' -e '$!N' -e 's/\n/\\n/' -e 'ta')"; }

# By standard input, so that the secret is on no command line, where other users of the machine see it.
printf '{"event":%s,"room":%s,"data":%s,"keep":%s,"key":%s,"secret":%s}' \
  "$(quoted "$1")" "$(quoted "$2")" "${3-null}" "${4:-null}" "$(quoted "${5-}")" "$(quoted "$SECRET")" |
  curl --silent --show-error --fail-with-body --max-time 10 --data-binary @- \
    -H 'Content-Type: application/json' "${WS_EMIT_URL:-http://localhost:8899}/emit" || exit 69
