/// Values of options that are left out. Help texts take them from here.
enum Defaults {
    /// Redis on this machine, as redis-cli assumes it.
    static let redisURL = "redis://localhost:6379/0"
    /// The channel of Flask-SocketIO and python-socketio.
    static let redisChannel = "flask-socketio"
    /// Namespace of Socket.IO clients that name none.
    static let namespace = "/"
    /// Pickle protocol of messages that subspy makes: every Python since 2.3 reads it.
    static let pickleProtocol = 2
    /// Pickle protocol of recorded messages that are written anew: the one of Python 3.8 to 3.13.
    static let convertedPickleProtocol = 4
    /// Seconds between two tables of `subspy top`: a rate per second needs no other.
    static let tableInterval = 1
    /// Rows that `subspy top` keeps: about 300 bytes each.
    static let tableRows = 1_000
    /// Differences that `subspy diff` prints: some screens full.
    static let differences = 100
    /// Largest payload that `subspy decode` reads: Redis's own limit for a value.
    static let payloadMebibytes = 512
}

/// Bounds of what subspy holds in memory, sends at once and waits for.
enum Limits {
    // MARK: Redis

    /// Messages that may wait for their reply while publishing: enough to keep a connection busy over a network.
    static let unansweredMessages = 1_024
    /// Messages of one write: a quarter of the window, so that Redis works while the next write is made.
    static let batchMessages = unansweredMessages / 4
    /// Bytes of one write, so that large messages don't wait for a full batch.
    static let batchBytes = 256 << 10
    /// Time before a command that Redis did not take is tried again.
    static let retryAfter = Duration.milliseconds(50)

    // MARK: POST /emit

    static let connectTimeout = Duration.seconds(5)
    /// Time after which a missing response is no longer expected.
    static let responseTimeout = Duration.seconds(30)
    /// Time before an unreachable server is tried again.
    static let reconnectAfter = Duration.milliseconds(200)
    /// Larger bodies are announced with `Expect: 100-continue`: a server may refuse them before they are sent.
    static let unannouncedBodyBytes = 64 << 10
    /// Time to wait for `100 Continue`, which old servers don't send.
    static let continueTimeout = Duration.seconds(1)
    /// Bytes of a response that are kept: enough for its sentence.
    static let responseBytes = 4_096
    /// Characters of that sentence that are shown.
    static let responseCharacters = 512

    // MARK: Output

    /// Bytes that standard output or a recording holds back within a burst of messages.
    static let heldBytes = 64 << 10
    /// Interval at which numbers on the screen are renewed, and a closed pipe is noticed on a quiet channel.
    static let refreshInterval = Duration.seconds(1)
    /// Bytes that the text of every message may take; beyond its limit a message counts as undecodable, because a short
    /// pickle with shared values can describe an endless text.
    static let leastTextBytes = 4 << 20
    /// Bytes of text for each byte of a payload: `\u0001` takes six characters, brackets and commas the rest.
    static let textBytesPerPayloadByte = 8
    /// Bytes shown of a payload that can't be decoded; `--raw` and `--hex` show them all.
    static let undecodableBytes = 4_096
    /// Longer texts stay on one line: laying out takes forty bytes of memory for each token.
    static let layoutBytes = 1 << 20
    /// Bytes of an int that is printed in decimal: 4,300 digits, CPython's own limit. Decimal is quadratic, hexadecimal
    /// isn't.
    static let decimalIntegerBytes = 1_786
    /// Bytes of an int in JSON that is read back: 99 digits.
    static let readableIntegerBytes = 41

    // MARK: Statistics

    /// The shortest interval between two tables: a terminal over a network shows no more.
    static let leastTableMilliseconds = 100
    /// A full table drops rows that have had no message for this many seconds, to make room for new ones.
    static let staleRowSeconds = 60
    /// Methods that are counted by name: python-socketio has six, and a sender can invent more.
    static let methods = 16
    /// Bytes of a method's name that are shown.
    static let methodBytes = 40
    /// Bytes of a row's name that are shown: enough for every width.
    static let rowNameBytes = 1_024

    // MARK: Files

    /// A line of a recording: no message of Redis is longer than 512 MB, which takes 683 MB in base64.
    static let lineBytes = 1 << 30
    /// The least size at which a recording is rotated.
    static let leastRotationBytes = 1_024
    /// Messages of one file that can be compared: each takes 8 bytes, and as many again for its index.
    static let comparedMessages = 20_000_000
    /// Values of an event that `diff` compares key by key; wider dicts differ as a whole.
    static let comparedKeys = 1_000
    /// Keys of a changed message that are named.
    static let namedKeys = 5
}
