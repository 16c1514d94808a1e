import Bytes
import PubSubMessages

/// The reason why a message on the channel reached no client: the values of the label `reason`.
enum DropReason: Int, CountedCase {
    case nobodyInRoom
    case noSuchNamespace
    // Unusable messages.
    case empty
    case pickle
    case json
    case tooLarge
    case notADict
    case missingKey
    case unserializable
    case badRoom
    case badCallback
    case badAttachment
    case other
    // Messages that python-socketio's receivers ignore too.
    case noMethod
    case unknownMethod
    case noNamespace
    case noTarget
    case broadcastRoom
    case unknownSid

    init(_ error: PubSubMessageError) {
        switch error.cause {
        case .empty: self = .empty
        case .pickle: self = .pickle
        case .json: self = .json
        case .tooLong: self = .tooLarge
        case .notADictionary: self = .notADict
        case .missingKey: self = .missingKey
        case .unserializable: self = .unserializable
        case .emptyRoomList, .badRoom: self = .badRoom
        case .badCallback: self = .badCallback
        case .binaryWithoutAttachments, .attachmentNotText, .attachmentNotBase64, .placeholderOutOfRange:
            self = .badAttachment
        default: self = .other
        }
    }

    /// Nil for messages that were never meant for our clients: nothing is lost.
    init?(_ reason: PubSubMessage.IgnoreReason) {
        switch reason {
        case .ownMessage, .canaryOfAnotherHost, .callbackOfAnotherHost, .incompleteCallback: return nil
        case .notAMessage: self = .notADict
        case .noMethod: self = .noMethod
        case .unknownMethod: self = .unknownMethod
        case .noNamespace: self = .noNamespace
        case .noTarget: self = .noTarget
        case .broadcastRoom: self = .broadcastRoom
        }
    }
}

/// An enumeration with a counter for each case, one sample of a metric each.
protocol CountedCase: CaseIterable {
    /// The position in `allCases`.
    var index: Int { get }
    var label: String { get }
}

extension CountedCase where Self: RawRepresentable<Int> {
    var index: Int { rawValue }

    /// `nobody_in_room` for `nobodyInRoom`.
    var label: String {
        "\(self)".reduce(into: "") { $0 += $1.isUppercase ? "_" + $1.lowercased() : String($1) }
    }
}

/// A plain integer for each case.
struct CaseCounts<Case: CountedCase>: Sendable, Equatable {
    private var counts = [Int](repeating: 0, count: Case.allCases.count)

    subscript(one: Case) -> Int {
        get { counts[one.index] }
        set { counts[one.index] = newValue }
    }

    var labelled: [(key: String, value: Int)] { Case.allCases.map { ($0.label, self[$0]) } }

    static func += (left: inout Self, right: Self) {
        for index in left.counts.indices { left.counts[index] += right.counts[index] }
    }
}
