/// Stands behind a broker that only sends commands: there is nothing to hand over.
package final class NoMessages: PubSubDelegate {
    package init() {}
    package func received(_ payload: UnsafeRawBufferPointer, on redisChannel: UnsafeRawBufferPointer) {}
    package func receivedBatch() {}
    package func subscriptionChanged(_ state: SubscriptionState) {}
}
