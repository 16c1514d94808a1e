import Bytes

/// Senders that are known to write `data` bare, whether their messages have a `binary` key (5.14.2 to 5.15.0) or not.
///
/// A list in `data` has another meaning there than from 5.15.1 on. From 5.15.1 on `data` is always a list, so any other
/// value proves that the process writes bare data, and so does a message without the key.
struct BareDataSenders {
    private var bare: Set<ByteString> = []
    /// The same senders in the order they came, to forget the oldest.
    private var order: [ByteString] = []
    private var oldest = 0
    /// The sender noted last, which usually writes the next message too.
    private var last: ByteString?
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
    }

    /// No sender is known, so that none has to be looked up.
    var isEmpty: Bool { bare.isEmpty }

    func writesBareData(_ host: ByteString) -> Bool { bare.contains(host) }

    /// Notes that a process has written bare data.
    mutating func noteBareData(_ host: ByteString) {
        guard host != last else { return }
        guard !HostID.isOfWSEmit(host) else { return }
        last = host
        guard bare.insert(host).inserted else { return }
        if order.count < capacity {
            order.append(host)
        } else {
            if order[oldest] == last { last = nil }
            bare.remove(order[oldest])
            order[oldest] = host
            oldest = (oldest + 1) % capacity
        }
    }
}
