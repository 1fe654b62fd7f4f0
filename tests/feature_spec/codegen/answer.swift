// Reads inputs, one field a line, and prints what the generated file says to each as one JSON document.
import Foundation

func text(_ field: Substring) -> String? {
    if field == "-" { return nil }
    let digits = Array(field.dropFirst().utf8)
    let bytes = stride(from: 0, to: digits.count, by: 2).map { index in
        UInt8(String(decoding: digits[index..<index + 2], as: UTF8.self), radix: 16)!
    }
    return String(decoding: bytes, as: UTF8.self)
}

func json(_ values: [Float]) -> String { "[" + values.map { "\(Double($0))" }.joined(separator: ",") + "]" }

func answer(_ events: [CoachFeatures.Event], _ fields: [Substring]) -> String {
    let context = CoachFeatures.Context(
        observedSince: text(fields[2]), accountSince: text(fields[3]), goalStart: text(fields[4]),
        goalTotalDays: Int(fields[6]), goalsCompletedBefore: Int(fields[7]), progress: Double(fields[5]),
        goalsActive: Int(fields[8]), goalsOverdue: Int(fields[9])
    )
    do {
        let input = try CoachFeatures.dayInput(
            events: events, asOf: text(fields[0])!, zone: text(fields[1])!, context: context)
        let vector = CoachFeatures.featureVector(input), named = CoachFeatures.features(input)
        precondition(CoachFeatures.FeatureName.allCases.map { named[$0]! } == vector, "two answers")
        let channels = CoachFeatures.Channel.allCases.count, types = CoachFeatures.EventType.allCases.count
        let cells = input.daily.enumerated().filter { $0.element != 0 }.map { index, value in
            "[\(index / channels / types),\(index / channels % types),\(index % channels),\(Double(value))]"
        }.joined(separator: ",")
        return "{\"cells\":[\(cells)],\"context\":\(json(input.context)),\"features\":\(json(vector))}"
    } catch let refusal as CoachFeatures.DayInputError {
        return "{\"reason\":\"\(refusal.reason.rawValue)\"}"
    } catch {
        fatalError("a bug, and no refusal: \(error)")
    }
}

@main
struct Answer {
    static func main() {
        var events: [CoachFeatures.Event] = []
        while let line = readLine() {
            let words = line.split(separator: " "), fields = Array(words.dropFirst())
            if words[0] == "event" {
                events.append(CoachFeatures.Event(
                    timestamp: text(fields[0])!, type: CoachFeatures.EventType(rawValue: String(fields[1]))!,
                    count: Int(fields[2])!, value: Double(fields[3]), eventId: text(fields[4]), goalId: text(fields[5])))
            } else {
                print(answer(events, fields))
                events = []
            }
        }
    }
}
