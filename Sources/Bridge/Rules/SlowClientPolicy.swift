/// The treatment of a client for which more than the bound waits (`slow` of a rule).
package enum SlowClientPolicy: String, Sendable, CaseIterable {
    /// It is disconnected.
    case disconnect
    /// Its oldest messages are dropped.
    case dropOldest = "drop-oldest"
    /// A newer message of the same event and key takes the place of the one that waits.
    case latest
}
