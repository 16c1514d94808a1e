import Glibc

/// Divides the descriptors that the process may open between its event loops and connections.
///
/// This happens before anything starts, because NIO and Dispatch end the process if they get no descriptor or thread.
struct DescriptorBudget {
    /// At most the wanted number.
    let loops: Int
    let connections: Int

    /// NIO's epoll, eventfd and timerfd, and those of the loop's `EpollLoop`.
    private static let perLoop = 6
    /// Redis (two connections, one being replaced, name look-ups), listeners, signals, Dispatch, the admin listener with
    /// its loop, and duplicates during an upgrade.
    private static let ownDescriptors = 32
    /// With fewer a server is useless.
    private static let fewestConnections = 4
    static let fewest = ownDescriptors + perLoop + fewestConnections

    /// - Parameter free: descriptors that can be opened.
    /// - Returns: nil if there are fewer than `fewest`. Event loops get at most a quarter of the descriptors that the
    ///   program doesn't need itself, to leave enough for connections.
    init?(free: Int, loopsWanted: Int) {
        guard free >= Self.fewest else { return nil }
        let shared = free - Self.ownDescriptors
        loops = max(1, min(loopsWanted, shared / 4 / Self.perLoop))
        connections = shared - loops * Self.perLoop
    }

    /// Raises the soft limit to the hard limit, and opens descriptors to count the free ones, since some may be open.
    static func freeDescriptors(loopsWanted: Int) -> Int {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return 1024 }
        limit.rlim_cur = limit.rlim_max
        _ = unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        // Enough for the wanted number of loops.
        let enough = ownDescriptors + 4 * perLoop * loopsWanted
        var opened: [CInt] = []
        while opened.count < enough {
            let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue) | CInt(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { break }
            opened.append(descriptor)
        }
        for descriptor in opened { close(descriptor) }
        guard opened.count == enough, let highest = opened.last else { return opened.count }
        // Each descriptor gets the lowest free number, so the skipped numbers are open already.
        return Int(clamping: limit.rlim_cur) - (Int(highest) + 1 - enough)
    }
}

/// The threads that the process may start.
enum ThreadLimit {
    /// Starts threads to count them, and ends them again.
    ///
    /// - Returns: the number of threads that could be started, at most `count`.
    static func startable(_ count: Int) -> Int {
        let gate = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
        defer { unsafe gate.deallocate() }
        unsafe pthread_mutex_init(gate, nil)
        defer { unsafe pthread_mutex_destroy(gate) }
        unsafe pthread_mutex_lock(gate)
        var threads: [pthread_t] = []
        while threads.count < count {
            var thread = pthread_t()
            let error = unsafe pthread_create(
                &thread, nil,
                { gate in
                    guard let gate = unsafe gate?.assumingMemoryBound(to: pthread_mutex_t.self) else { return nil }
                    unsafe pthread_mutex_lock(gate)
                    unsafe pthread_mutex_unlock(gate)
                    return nil
                }, unsafe gate)
            guard error == 0 else { break }
            threads.append(thread)
        }
        unsafe pthread_mutex_unlock(gate)
        for thread in threads { pthread_join(thread, nil) }
        return threads.count
    }
}
