// Emits one event on the Redis channel: go run emit.go EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.
// KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
// each KEY.
// REDIS in the environment names the server: redis://[[user]:password@]host[:port]. Prints how many servers got the event.
// Needs nothing but Go 1.19.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"sort"
	"strings"
	"time"
)

const channel = "flask-socketio"

// pickle gives a pickle's opcodes for a value: X is a text, I an integer, F a float; a list stands in ](...e, a dict in
// }(...u. Values are those of a json.Decoder with UseNumber.
func pickle(value any) string {
	switch value := value.(type) {
	case nil:
		return "N"
	case bool:
		if value {
			return "\x88"
		}
		return "\x89"
	case json.Number:
		if strings.ContainsAny(value.String(), ".eE") {
			return "F" + value.String() + "\n"
		}
		return "I" + value.String() + "\n"
	case string:
		return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(value)))) + value
	case []any:
		items := ""
		for _, item := range value {
			items += pickle(item)
		}
		return "](" + items + "e"
	case map[string]any:
		keys := make([]string, 0, len(value))
		for key := range value {
			keys = append(keys, key)
		}
		sort.Strings(keys)
		pairs := ""
		for _, key := range keys {
			pairs += pickle(key) + pickle(value[key])
		}
		return "}(" + pairs + "u"
	}
	panic(fmt.Sprintf("no pickle for %T", value))
}

func fail(code int, sentence string, details ...any) {
	fmt.Fprintf(os.Stderr, "emit.go: "+sentence+"\n", details...)
	os.Exit(code)
}

func parse(text string) (value any) {
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		fail(65, "the JSON is not valid: %v", err)
	}
	if _, err := decoder.Token(); err != io.EOF {
		fail(65, "the JSON is not valid: something follows the value")
	}
	return value
}

func command(redis net.Conn, answers *bufio.Reader, words ...string) string {
	request := fmt.Sprintf("*%d\r\n", len(words))
	for _, word := range words {
		request += fmt.Sprintf("$%d\r\n%s\r\n", len(word), word)
	}
	redis.Write([]byte(request))
	answer, err := answers.ReadString('\n')
	if err != nil {
		fail(69, "Redis does not answer: %v", err)
	}
	answer = strings.TrimSpace(answer)
	if !strings.HasPrefix(answer, "+") && !strings.HasPrefix(answer, ":") {
		fail(69, "Redis says: %s", answer)
	}
	return answer[1:]
}

func main() {
	if len(os.Args) < 3 || len(os.Args) > 6 {
		fail(64, "usage: emit.go EVENT ROOM [JSON [KEEP [KEY]]]")
	}
	words := append(os.Args[1:], []string{"null", "", ""}[len(os.Args)-3:]...)
	message := map[string]any{"method": "emit", "event": words[0], "data": parse(words[2]), "namespace": "/", "room": nil}
	if words[1] != "" {
		message["room"] = words[1]
	}
	if words[3] != "" {
		message["keep"] = parse(words[3])
	}
	if words[4] != "" {
		message["key"] = words[4]
	}

	address := os.Getenv("REDIS")
	if address == "" {
		address = "redis://localhost:6379"
	}
	server, err := url.Parse(address)
	if err != nil || server.Scheme != "redis" {
		fail(64, "REDIS is no URL such as redis://localhost:6379")
	}
	port := server.Port()
	if port == "" {
		port = "6379"
	}
	redis, err := net.DialTimeout("tcp", net.JoinHostPort(server.Hostname(), port), 5*time.Second)
	if err != nil {
		fail(69, "Redis can't be reached: %v", err)
	}
	redis.SetDeadline(time.Now().Add(5 * time.Second))
	answers := bufio.NewReader(redis)
	if password, isSet := server.User.Password(); isSet {
		if user := server.User.Username(); user != "" {
			command(redis, answers, "AUTH", user, password)
		} else {
			command(redis, answers, "AUTH", password)
		}
	}
	fmt.Println(command(redis, answers, "PUBLISH", channel, "\x80\x02"+pickle(message)+"."))
}
