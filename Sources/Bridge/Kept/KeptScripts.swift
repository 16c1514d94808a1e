/// The scripts that read and write kept messages in Redis. Keys: the hash of the values, and the lease.
///
/// All are for Redis 5 and later. Each result is an array of texts.
enum KeptScripts {
    /// Takes the lease. Arguments: host id, token, milliseconds of the lease, and the condition: `-1` only if it is free, `0`
    /// always, otherwise only if it hasn't been extended for so many milliseconds; `1` to leave it if nothing is stored.
    ///
    /// Tokens begin with the host id, so a server knows its own former ones.
    static let take: StaticString = """
        if ARGV[5] == '1' and redis.call('EXISTS', KEYS[1]) == 0 then return {'empty'} end
        local result, holder, quiet = 'taken', redis.call('GET', KEYS[2]), tonumber(ARGV[4])
        if holder and string.sub(holder, 1, #ARGV[1]) == ARGV[1] then
          result = 'ours'
        elseif holder and (quiet < 0 or quiet > 0 and redis.call('PTTL', KEYS[2]) > ARGV[3] - quiet) then
          return {'held'}
        end
        redis.call('SET', KEYS[2], ARGV[2], 'PX', ARGV[3])
        return {result}
        """

    /// Writes a batch, if the lease is ours, and extends it. Arguments: token, milliseconds of the lease, milliseconds until the
    /// last value expires, number of values, then field and value of each, then the fields to delete.
    static let write: StaticString = """
        if redis.call('GET', KEYS[2]) ~= ARGV[1] then return {'lost'} end
        redis.call('PEXPIRE', KEYS[2], ARGV[2])
        local last = 4 + 2 * ARGV[4]
        for i = 5, last, 2 do redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 1]) end
        for i = last + 1, #ARGV do redis.call('HDEL', KEYS[1], ARGV[i]) end
        local age = tonumber(ARGV[3])
        if age > 0 and redis.call('PTTL', KEYS[1]) < age then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
        return {'written'}
        """

    /// Reads a page. Arguments: cursor, number of fields to look at, bytes of the reply, longest field, and our token and the
    /// milliseconds of the lease if it is to be extended. Returns the next cursor, then field and value of each. A value that
    /// would make the reply too long is empty, and is read alone; a field that is too long is left out.
    static let scan: StaticString = """
        if ARGV[5] ~= '' and redis.call('GET', KEYS[2]) == ARGV[5] then redis.call('PEXPIRE', KEYS[2], ARGV[6]) end
        local reply = redis.call('HSCAN', KEYS[1], ARGV[1], 'COUNT', ARGV[2])
        local result, left, fields = {reply[1]}, tonumber(ARGV[3]), reply[2]
        for i = 1, #fields, 2 do
          if #fields[i] <= tonumber(ARGV[4]) then
            result[#result + 1] = fields[i]
            if #fields[i + 1] <= left then
              result[#result + 1] = fields[i + 1]
              left = left - #fields[i + 1]
            else
              result[#result + 1] = ''
            end
          else
            result[#result + 1] = ''
            result[#result + 1] = ''
          end
        end
        return result
        """

    /// Reads one value. Arguments: its field, and the greatest length. Returns nothing for a longer one.
    static let get: StaticString = """
        if redis.call('HSTRLEN', KEYS[1], ARGV[1]) > tonumber(ARGV[2]) then return {} end
        local value = redis.call('HGET', KEYS[1], ARGV[1])
        return value and {value} or {''}
        """

    /// Gives the lease back, if it is ours. Argument: token.
    static let release: StaticString = """
        if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
        return {'released'}
        """
}
