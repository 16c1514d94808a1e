import Bytes

/// Senders that are known to write `data` bare, whether their messages have a `binary` key (5.14.2 to 5.15.0) or not.
///
/// A list in `data` reads differently there than from 5.15.1 on. What tells: from 5.15.1 on `data` is always a list, so
/// anything else proves the older form for that process, and so does a message without the key.
struct SenderDialects {
    private var bare: Set<ByteString> = []
    /// The same senders in the order they came, for forgetting the oldest.
    private var order: [ByteString] = []
    private var oldest = 0
    /// The one noted last, which is mostly the next one too.
    private var last: ByteString?
    private let capacity: Int

    init(capacity: Int) {
        self.capacity = max(capacity, 1)
    }

    /// Whether none is known, so that nobody has to be looked up.
    var isEmpty: Bool { bare.isEmpty }

    func writesBareData(_ host: ByteString) -> Bool { bare.contains(host) }

    /// Notes that `host` has shown the older form.
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
