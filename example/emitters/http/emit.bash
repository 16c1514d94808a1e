#!/usr/bin/env bash
# Emits one event by POST /emit: emit.bash EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.
# KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
# each KEY.
# Environment: WS_EMIT_URL (http://localhost:8899), SECRET, the one that ws-emit was started with. Needs nothing but bash.
set -euo pipefail

fail() { echo "emit.bash: $2" >&2; exit "$1"; }

# A text as JSON.
quoted() {
  local text=${1//\\/\\\\}
  text=${text//\"/\\\"} text=${text//$'\n'/\\n} text=${text//$'\t'/\\t}
  printf '"%s"' "$text"
}

[ $# -ge 2 ] && [ $# -le 5 ] || fail 64 "usage: emit.bash EVENT ROOM [JSON [KEEP [KEY]]]"
[ -n "${SECRET:-}" ] || fail 64 "SECRET is not set: it is the one that ws-emit was started with"
url=${WS_EMIT_URL:-http://localhost:8899}
[[ $url =~ ^http://([^/:]+)(:([0-9]+))?(/.*)?$ ]] || fail 64 "WS_EMIT_URL is no URL such as http://localhost:8899"
host=${BASH_REMATCH[1]} port=${BASH_REMATCH[3]:-80} path=${BASH_REMATCH[4]%/}/emit

body="{\"event\":$(quoted "$1"),\"room\":$(quoted "$2"),\"data\":${3-null}"
body+=",\"keep\":${4:-null},\"key\":$(quoted "${5-}"),\"secret\":$(quoted "$SECRET")}"
length=$(printf %s "$body" | wc -c)

{ exec 3<>"/dev/tcp/$host/$port"; } 2>/dev/null || fail 69 "nothing answers at $url"
printf 'POST %s HTTP/1.1\r\nHost: %s:%s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s' \
  "$path" "$host" "$port" "$length" "$body" >&3
read -r -t 10 -u 3 _ status _ || fail 69 "ws-emit does not answer"
while read -r -t 10 -u 3 header && [ "$header" != $'\r' ]; do :; done
answer=$(timeout 10 cat <&3) || fail 69 "ws-emit does not answer"
# Refusals of a message are {"error":"…"}, others a page with one sentence on it.
[[ ! $answer =~ ^\{\"error\":\"(.*)\"\} ]] || answer=${BASH_REMATCH[1]}
[[ ! $answer =~ \<p\>(.*)\</p\> ]] || answer=${BASH_REMATCH[1]}
[ "$status" = 200 ] || fail 69 "ws-emit says: $answer"
echo "$answer"
