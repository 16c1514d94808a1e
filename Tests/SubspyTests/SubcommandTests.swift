import Testing

@testable import subspy

@Suite struct SubcommandTests {
    @Test(
        arguments: [
            ("recrod", "record"), ("emti", "emit"), ("Top", "top"), ("replya", "replay"), ("decod", "decode"),
            ("close-rooom", "close-room"), ("sinff", "sniff"),
        ])
    func `a near miss is known`(word: String, name: String) { #expect(SubspyCommand.command(like: word) == name) }

    @Test(arguments: ["emit", "sniff", "--event", "-v", "help", "something", ""])
    func `what is right, or like none, is no near miss`(word: String) {
        #expect(SubspyCommand.command(like: word) == nil)
    }
}
