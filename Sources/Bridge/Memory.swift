import CEpoll

/// Settings of the C library's allocator.
enum Memory {
    /// Returns blocks of 1 MiB and more to the system as soon as they are freed. By default glibc raises that threshold up to
    /// 32 MiB once such a block is freed (mallopt(3), `M_MMAP_THRESHOLD`). Up to 8 MiB of smaller free blocks are kept until `trim`.
    static func prepare() {
        _ = mallopt(M_MMAP_THRESHOLD, 1 << 20)
        _ = mallopt(M_TRIM_THRESHOLD, 8 << 20)
    }

    /// Returns free memory between used blocks to the system (malloc_trim(3)).
    static func trim() { _ = malloc_trim(0) }
}
