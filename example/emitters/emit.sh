#!/usr/bin/env bash
# Emits one event on the Redis channel: emit.sh EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.
# KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
# each KEY.
# REDIS in the environment names the server: redis://[[user]:password@]host[:port]. Prints how many servers got the event.
# Needs redis-cli, and awk, which turns the JSON into a pickle of protocol 0, which is text: V begins a string, I an integer
# and F a float, each up to the end of its line; what stands between ( and d is a dict, between ( and l a list; . ends it.
set -euo pipefail

fail() { echo "emit.sh: $2" >&2; exit "$1"; }

[ $# -ge 2 ] && [ $# -le 5 ] || fail 64 "usage: emit.sh EVENT ROOM [JSON [KEEP [KEY]]]"

pickle=$(EVENT=$1 ROOM=$2 JSON=${3-null} KEEP=${4-} KEY=${5-} LC_ALL=C awk '
function fail() {
  print "emit.sh: the JSON is not valid" (text == "" ? ": it is not complete" : " at: " substr(text, 1, 40)) > "/dev/stderr"
  exit 65
}
# Cuts what matches off the front of the text.
function take(pattern) {
  if (!match(text, "^(" pattern ")")) return 0
  token = substr(text, 1, RLENGTH)
  text = substr(text, RLENGTH + 1)
  return 1
}
function space() { take("[ \t\r\n]*") }
function hex(digits,   i, number) {
  for (i = 1; i <= 4; i++) {
    if (!index(HEX, substr(digits, i, 1)) || length(digits) < 4) fail()
    number = number * 16 + (index(HEX, tolower(substr(digits, i, 1))) - 1) % 16
  }
  return number
}
# A line holds one byte a character, and all others, the backslash and the line feed among them, as \uXXXX.
function string(raw, isJSON,   i, c, code, more, low, line) {
  for (i = 1; i <= length(raw); i++) {
    c = substr(raw, i, 1)
    code = ord[c]
    if (isJSON && c == "\\") {
      c = substr(raw, ++i, 1)
      if (c == "u") {
        code = hex(substr(raw, i + 1, 4))
        i += 4
        if (code >= 55296 && code < 56320 && substr(raw, i + 1, 2) == "\\u") {
          low = hex(substr(raw, i + 3, 4))
          if (low >= 56320 && low < 57344) {
            code = 65536 + (code - 55296) * 1024 + low - 56320
            i += 6
          }
        }
      } else {
        if (!index("bfnrt\"\\/", c)) fail()
        code = ord[substr("\b\f\n\r\t\"\\/", index("bfnrt\"\\/", c), 1)]
      }
    } else if (code >= 192) {
      more = code >= 240 ? 3 : code >= 224 ? 2 : 1
      code %= more == 3 ? 8 : more == 2 ? 16 : 32
      while (more-- > 0) code = code * 64 + ord[substr(raw, ++i, 1)] % 64
    } else if (isJSON && code < 32) fail()
    line = line (code > 65535 ? sprintf("\\U%08x", code) : code < 32 || code > 126 || code == 92 ? sprintf("\\u%04x", code) \
      : sprintf("%c", code))
  }
  return "V" line "\n"
}
function quoted() {
  if (!take("\"([^\"\\\\]|\\\\.)*\"")) fail()
  return string(substr(token, 2, length(token) - 2), 1)
}
function items(end, isObject,   list) {
  for (space(); !take(end); space()) {
    if (list != "" && !take(",")) fail()
    space()
    if (isObject) {
      list = list quoted()
      space()
      if (!take(":")) fail()
    }
    list = list value()
  }
  return "(" list (isObject ? "d" : "l")
}
function value() {
  space()
  if (take("-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][-+]?[0-9]+)?")) return (token ~ /[.eE]/ ? "F" : "I") token "\n"
  if (take("[[]")) return items("[]]", 0)
  if (take("[{]")) return items("[}]", 1)
  if (take("true")) return "I01\n"
  if (take("false")) return "I00\n"
  if (take("null")) return "N"
  return quoted()
}
function parsed(json,   result) {
  text = json
  result = value()
  space()
  if (text != "") fail()
  return result
}
function name(raw) { return raw == "" ? "N" : string(raw) }
BEGIN {
  HEX = "0123456789abcdef0123456789ABCDEF"
  for (i = 1; i < 256; i++) ord[sprintf("%c", i)] = i
  data = parsed(ENVIRON["JSON"])
  keep = ENVIRON["KEEP"] == "" ? "N" : parsed(ENVIRON["KEEP"])
  printf "(Vmethod\nVemit\nVevent\n%sVdata\n%sVnamespace\nV/\nVroom\n%sVkeep\n%sVkey\n%sd.", string(ENVIRON["EVENT"]), data,
    name(ENVIRON["ROOM"]), keep, name(ENVIRON["KEY"])
}') || exit

address=${REDIS:-redis://localhost:6379} login=""
[[ $address == redis://* ]] || fail 64 "REDIS is no URL such as redis://localhost:6379"
address=${address#redis://}
case $address in *@*) login=${address%@*} address=${address##*@} ;; esac
address=${address%%/*}
host=${address%:*} port=6379
case $address in *:*) port=${address##*:} ;; esac
decoded() { local text=${1//\\/\\\\}; printf %b "${text//%/\\x}"; }
user=$(decoded "${login%%:*}") password=$(decoded "${login#*:}")

# In the environment, where other users of the machine can't see it.
[ -z "$password" ] || export REDISCLI_AUTH=$password
answer=$(printf %s "$pickle" |
  timeout 10 redis-cli -h "${host:-localhost}" -p "$port" ${user:+--user "$user"} -x PUBLISH flask-socketio 2>&1) || true
[[ $answer =~ ^[0-9]+$ ]] || fail 69 "Redis says: ${answer%%$'\n'*}"
echo "$answer"
