#!/usr/bin/env ruby
# Emits one event on the Redis channel: emit.rb EVENT ROOM [JSON [KEEP [KEY]]]. An empty ROOM is everybody.
# KEEP is true, false or seconds, empty for none: whether ws-emit keeps the event for clients that join later, one for
# each KEY.
# REDIS in the environment names the server: redis://[[user]:password@]host[:port]. Prints how many servers got the event.
# Needs nothing but Ruby.
require 'json'
require 'socket'
require 'timeout'
require 'uri'

CHANNEL = 'flask-socketio'

# A pickle's opcodes for a value: X is a text, I an integer, G a float; a list stands in ](...e, a dict in }(...u.
def pickle(value)
  case value
  when nil then 'N'.b
  when true then "\x88".b
  when false then "\x89".b
  when Integer then "I#{value}\n".b
  when Float then 'G'.b + [value].pack('G')
  when String then 'X'.b + [value.bytesize].pack('V') + value.b
  when Array then ']('.b + value.map { |item| pickle(item) }.join + 'e'.b
  when Hash then '}('.b + value.map { |key, item| pickle(key.to_s) + pickle(item) }.join + 'u'.b
  end
end

def quit(code, sentence)
  warn "emit.rb: #{sentence}"
  exit code
end

def command(redis, *words)
  redis.write("*#{words.size}\r\n", *words.flat_map { |word| ["$#{word.bytesize}\r\n", word, "\r\n"] })
  answer = redis.gets.to_s.chomp
  quit 69, "Redis says: #{answer.empty? ? 'nothing, and closes the connection' : answer}" unless answer.start_with?('+', ':')
  answer[1..]
end

quit 64, 'usage: emit.rb EVENT ROOM [JSON [KEEP [KEY]]]' unless ARGV.size.between?(2, 5)
event, room, json, keep, key = ARGV
begin
  data = JSON.parse(json || 'null')
  keep = JSON.parse(keep.to_s.empty? ? 'null' : keep)
rescue JSON::ParserError => problem
  quit 65, "the JSON is not valid: #{problem.message.lines.first.to_s.chomp}"
end
message = {
  method: 'emit', event: event, data: data, namespace: '/', room: room.empty? ? nil : room, keep: keep,
  key: key.to_s.empty? ? nil : key
}

begin
  Timeout.timeout(5) do
    url = URI(ENV.fetch('REDIS', 'redis://localhost:6379'))
    quit 64, 'REDIS is no URL such as redis://localhost:6379' unless url.scheme == 'redis'
    redis = TCPSocket.new(url.hostname || 'localhost', url.port || 6379)
    if url.password
      login = [url.user, url.password].reject { |word| word.to_s.empty? }
      command(redis, 'AUTH', *login.map { |word| URI.decode_www_form_component(word.gsub('+', '%2B')) })
    end
    puts command(redis, 'PUBLISH', CHANNEL, "\x80\x02".b + pickle(message) + '.'.b)
  end
rescue SystemCallError, SocketError, Timeout::Error => problem
  quit 69, "Redis can't be reached: #{problem.message}"
end
