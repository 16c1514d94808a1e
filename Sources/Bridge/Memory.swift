import CEpoll

/// How the C library's allocator keeps memory that was freed.
enum Memory {
    /// Has blocks from 1 MiB on given back as soon as they are freed. By itself glibc learns, from the first such block that is
    /// freed, to keep those up to 32 MiB (mallopt(3), `M_MMAP_THRESHOLD`). Smaller ones are kept for the next of their kind: up
    /// to 8 MiB of them lie free until `trim`.
    static func prepare() {
        _ = mallopt(M_MMAP_THRESHOLD, 1 << 20)
        _ = mallopt(M_TRIM_THRESHOLD, 8 << 20)
    }

    /// Gives back what lies free between blocks that are in use (malloc_trim(3)).
    static func trim() { _ = malloc_trim(0) }
}
