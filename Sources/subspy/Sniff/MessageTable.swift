import Bytes
import PubSubMessages

/// Messages as rows of a table, as wide as the terminal; into a pipe as wide as they are, unless `COLUMNS` is set.
struct MessageTable {
    private struct Column {
        let title: String
        let width: Int
        var isNumber = false
    }

    private let palette: Palette
    private let timeColumns: Int
    private var columns: [Column] = []
    private var width: Int?

    init(palette: Palette, timeColumns: Int) {
        self.palette = palette
        self.timeColumns = timeColumns
        layOut(width: Terminal.columns)
    }

    private mutating func layOut(width: Int?) {
        self.width = width
        // The columns of fixed width leave a rest: names get a fifth of it each, the data the remainder.
        let free = max((width ?? 120) - timeColumns - 24, 20)
        let name = min(max(free / 5, 6), 24)
        columns = [
            Column(title: "TIME", width: timeColumns), Column(title: "EVENT", width: name),
            Column(title: "ROOM", width: name), Column(title: "NS", width: min(max(free / 12, 4), 12)),
            Column(title: "BYTES", width: 7, isNumber: true), Column(title: "FORMAT", width: 12),
        ]
    }

    func appendHeading(to line: inout JSONWriter) {
        palette.paint(.heading, &line) { line in
            var row = Row(limit: width)
            for column in columns { row.append(column.title, column.width, isNumber: column.isNumber, to: &line) }
            row.append("DATA", nil, to: &line)
        }
        line.append(0x0A)
    }

    /// Appends a row. Brackets mark other methods than emit in the place of the event, and `(everyone)`, which is no room,
    /// and `(keep 300)` and `(key tea)` before the data.
    mutating func append(
        _ message: ShownMessage, _ timestamps: Timestamps, _ renderer: inout MessageRenderer, truncation: Int?,
        to line: inout JSONWriter
    ) {
        if let current = Terminal.columns, current != width {
            layOut(width: current)
            appendHeading(to: &line)
        }
        var row = Row(limit: width)
        var cell = JSONWriter(capacity: 256)
        for (index, column) in columns.enumerated() {
            cell.removeAll()
            switch index {
            case 0: timestamps.append(to: &cell)
            case 1 where message.isUndecodable: break
            case 1 where message.isEmit: renderer.appendField("event", to: &cell)
            case 1:
                cell.append("(")
                renderer.appendField("method", to: &cell)
                cell.append(")")
            case 2:
                renderer.appendField("room", to: &cell)
                if cell.count == 0, message.isEmit, message.inspection.dropReason == nil { cell.append("(everyone)") }
            case 3: renderer.appendField("namespace", to: &cell)
            case 4: unsafe cell.appendInteger(Int64(message.payload.count))
            default: cell.append(text: message.inspection.wireFormat.description)
            }
            unsafe cell.withUnsafeBytes { unsafe row.append($0, column.width, isNumber: column.isNumber, to: &line) }
        }
        if message.inspection.dropReason == nil {
            renderer.render(message.contentKey)
        } else {
            unsafe renderer.render(message.payload)
        }
        cell.removeAll()
        if message.inspection.summary.hasKeep { renderer.appendLabelled("keep", to: &cell) }
        if message.inspection.summary.key != nil { renderer.appendLabelled("key", to: &cell) }
        unsafe renderer.withBytes { unsafe PrintableText.append($0, characters: truncation, to: &cell) }
        unsafe cell.withUnsafeBytes { unsafe row.append($0, nil, to: &line) }
    }
}

/// A line of a table while it is being put together; no cell goes beyond its end.
struct Row {
    /// Columns left; nil for a line without end.
    private var left: Int?
    private var isFirst = true

    init(limit: Int?) { left = limit }

    mutating func append(_ text: String, _ width: Int?, isNumber: Bool = false, to line: inout JSONWriter) {
        var cell = JSONWriter(capacity: 64)
        cell.append(text: text)
        unsafe cell.withUnsafeBytes { unsafe append($0, width, isNumber: isNumber, to: &line) }
    }

    /// Appends a cell.
    ///
    /// - Parameter width: nil for the last cell, which takes what is left and isn't filled up. Numbers stand on the right.
    mutating func append(
        _ text: UnsafeRawBufferPointer, _ width: Int?, isNumber: Bool = false, to line: inout JSONWriter
    ) {
        if !isFirst {
            guard left != 0 else { return }
            line.append(" ")
            left = left.map { $0 - 1 }
        }
        isFirst = false
        let room = min(width ?? Int.max, left ?? Int.max)
        let taken = unsafe PrintableText.columns(of: text)
        let padding = width == nil ? 0 : max(room - taken, 0)
        if isNumber { for _ in 0..<padding { line.append(" ") } }
        let used = unsafe PrintableText.append(text, cutTo: room, to: &line)
        if !isNumber { for _ in 0..<(width == nil ? 0 : room - used) { line.append(" ") } }
        left = left.map { $0 - (width == nil ? used : room) }
    }
}
