import JSONCodec
import NIOCore
import PubSubMessages
import RedisPubSub

/// Counts what passes and shows it again and again.
final class Top: PubSubDelegate {
    private let run: Run
    private let options: TopCommand
    private let inspector = MessageInspector()
    private let filter: MessageFilter
    private let grouping: TopCommand.Grouping
    private var renderer = MessageRenderer()
    private let output = LineOutput()
    private var screen: TopScreen?
    private var table: TrafficTable
    private var counts = TrafficCounts()
    private var outages = Outages()
    private var order: TrafficOrder
    private var start: NIODeadline?
    private var printedTables = 0

    init(run: Run, options: TopCommand) {
        self.run = run
        self.options = options
        filter = MessageFilter(options.filter)
        grouping = options.by
        order = options.sort
        table = TrafficTable(capacity: options.maxRows, at: run.eventLoop.now)
    }

    func start(_ session: RedisSession) {
        if options.isLive {
            let screen = TopScreen(run)
            self.screen = screen
            screen.pressed = { [self] key in press(key) }
            screen.resized = { [self] in draw() }
            screen.open()
            draw()
            tick()
        } else {
            output.ended = { [weak run] failure in
                if let failure { StandardError.say("standard output: \(SystemError.text(of: failure))") }
                run?.end(failure == nil ? 0 : 74)
            }
            output.watchReader(run)
        }
        session.whenConnected { [self] in
            session.listen(channels: options.source.channels, patterns: options.source.pattern, delegate: self)
        }
    }

    // MARK: PubSubDelegate

    func received(_ payload: UnsafeRawBufferPointer, on redisChannel: UnsafeRawBufferPointer) {
        guard run.exitCode == nil, filter.mayAccept(payload) else { return }
        let inspection = inspector.inspect(payload)
        guard filter.accepts(payload, inspection, of: inspector, &renderer), filter.drawsLot() else { return }
        let (now, size, form) = (run.eventLoop.now, payload.count, inspection.wireForm)
        counts.count(inspection, bytes: size)
        if case .undecodable = inspection.form { return table.count(.undecodable, bytes: size, form, at: now) }
        let summary = inspection.summary
        switch grouping {
        case .room:
            if summary.rooms.isEmpty { table.count(.unnamed, bytes: size, form, at: now) }
            for room in summary.rooms { table.count(.named(room), bytes: size, form, at: now) }
        case .event: count(summary.event)
        case .sender: count(summary.hostID)
        case .namespace: count(summary.namespace)
        }
        func count(_ name: ByteString?) {
            table.count(name.map { .named($0) } ?? .unnamed, bytes: size, form, at: now)
        }
    }

    func receivedBatch() {}

    func subscriptionChanged(_ state: SubscriptionState) {
        let now = run.eventLoop.now
        outages.note(state, at: now)
        if state == .subscribed, start == nil {
            start = now
            table.refresh(at: now)
            counts.refresh(at: now)
            if screen == nil { tick() }
        }
        if screen != nil { draw() }
    }

    // MARK: Showing

    private func tick() {
        run.after(options.every) { [self] in
            let now = run.eventLoop.now
            table.refresh(at: now)
            counts.refresh(at: now)
            draw()
            printedTables += 1
            if printedTables == options.tableCount { return run.end(0) }
            tick()
        }
    }

    private func press(_ key: Character) {
        if key == "q" || key == "Q" { return run.end(0) }
        guard let chosen = TrafficOrder.allCases.first(where: { $0.letter == key }) else { return }
        order = chosen
        draw()
    }

    private func draw() {
        let size = screen == nil ? nil : Terminal.size
        let palette = Palette(options.color)
        let picture = TopPicture(
            palette: palette, grouping: grouping, order: order, columns: size?.columns ?? Terminal.columns)
        let now = run.eventLoop.now
        var writer = JSONWriter(capacity: 8192)
        picture.appendHeading(
            counts, duration: start.map { now - $0 }, outages: outages, at: now, isLive: screen != nil, to: &writer)
        // Three lines are above the rows, and one below.
        let room = size.map { max($0.rows - 5, 0) } ?? Int.max
        picture.append(table, rows: room, at: now, to: &writer)
        if let screen {
            writer.withUnsafeBytes { screen.show($0) }
        } else {
            writer.append(0x0A)
            writer.withUnsafeBytes { output.append(spelled: $0) }
            output.flush()
        }
    }
}
