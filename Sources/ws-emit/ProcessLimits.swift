import Glibc

/// The descriptors that the process may open, shared out between its event loops and connections.
///
/// Asked before anything is started: NIO and Dispatch end the process where they get no descriptor or thread at their start.
struct DescriptorBudget {
    /// At most as many as asked for.
    let loops: Int
    let connections: Int

    /// NIO's epoll, eventfd and timerfd, and those of the loop's `EpollLoop`.
    private static let perLoop = 6
    /// Redis (two connections, one being replaced, name look-ups), listeners, signals, Dispatch, an operators' listener with its
    /// loop, and duplicates during an upgrade.
    private static let ownDescriptors = 32
    /// A server for fewer is none.
    private static let fewestConnections = 4
    static let fewest = ownDescriptors + perLoop + fewestConnections

    /// - Parameter free: descriptors that can be opened.
    /// - Returns: nil when they are fewer than `fewest`. Event loops take at most a quarter of those that the program doesn't
    ///   need itself, so that connections are left for them to serve.
    init?(free: Int, loopsWanted: Int) {
        guard free >= Self.fewest else { return nil }
        let shared = free - Self.ownDescriptors
        loops = max(1, min(loopsWanted, shared / 4 / Self.perLoop))
        connections = shared - loops * Self.perLoop
    }

    /// Raises the soft limit to the hard one, and opens descriptors to see how many there are: some may be open already.
    static func freeDescriptors(loopsWanted: Int) -> Int {
        var limit = rlimit()
        guard getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        limit.rlim_cur = limit.rlim_max
        _ = setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        // With so many the loops asked for have theirs.
        let enough = ownDescriptors + 4 * perLoop * loopsWanted
        var opened: [CInt] = []
        while opened.count < enough {
            let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { break }
            opened.append(descriptor)
        }
        for descriptor in opened { close(descriptor) }
        guard opened.count == enough, let highest = opened.last else { return opened.count }
        // The lowest free number is given each time, so that the numbers left out are open.
        return Int(clamping: limit.rlim_cur) - (Int(highest) + 1 - enough)
    }
}

/// The threads that the process may start.
enum ThreadLimit {
    /// Starts threads as a trial, and ends them.
    ///
    /// - Returns: how many could be started, at most `count`.
    static func startable(_ count: Int) -> Int {
        let gate = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        defer { gate.deallocate() }
        pthread_mutex_init(gate, nil)
        defer { pthread_mutex_destroy(gate) }
        pthread_mutex_lock(gate)
        var threads: [pthread_t] = []
        while threads.count < count {
            var thread = pthread_t()
            let error = pthread_create(
                &thread, nil,
                { gate in
                    guard let gate = gate?.assumingMemoryBound(to: pthread_mutex_t.self) else { return nil }
                    pthread_mutex_lock(gate)
                    pthread_mutex_unlock(gate)
                    return nil
                }, gate)
            guard error == 0 else { break }
            threads.append(thread)
        }
        pthread_mutex_unlock(gate)
        for thread in threads { pthread_join(thread, nil) }
        return threads.count
    }
}
