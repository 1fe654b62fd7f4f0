
// MARK: - What goes in and out

extension CoachFeatures {
    /// Something that happened: docs/protocol/day-input.md says what each type means and which value it has.
    public struct Event: Sendable {
        /// RFC 3339 with `Z` or an offset, such as `ISO8601DateFormatter().string(from: Date())`.
        public var timestamp: String
        public var type: EventType
        public var count: Int
        public var value: Double?
        /// Whatever may be delivered twice needs an id: it counts once.
        public var eventId: String?
        public var goalId: String?

        public init(
            timestamp: String, type: EventType, count: Int = 1, value: Double? = nil, eventId: String? = nil,
            goalId: String? = nil
        ) {
            self.timestamp = timestamp
            self.type = type
            self.count = count
            self.value = value
            self.eventId = eventId
            self.goalId = goalId
        }
    }

    /// What is known besides events; nil is unknown. Dates are local, `YYYY-MM-DD`; progress is 0 to 1.
    public struct Context: Sendable {
        public var observedSince: String?
        public var accountSince: String?
        public var goalStart: String?
        public var goalTotalDays: Int?
        public var goalsCompletedBefore: Int?
        public var progress: Double?
        public var goalsActive: Int?
        public var goalsOverdue: Int?

        public init(
            observedSince: String? = nil, accountSince: String? = nil, goalStart: String? = nil,
            goalTotalDays: Int? = nil, goalsCompletedBefore: Int? = nil, progress: Double? = nil,
            goalsActive: Int? = nil, goalsOverdue: Int? = nil
        ) {
            self.observedSince = observedSince
            self.accountSince = accountSince
            self.goalStart = goalStart
            self.goalTotalDays = goalTotalDays
            self.goalsCompletedBefore = goalsCompletedBefore
            self.progress = progress
            self.goalsActive = goalsActive
            self.goalsOverdue = goalsOverdue
        }
    }

    /// The two tensors: `daily` is flat in the order day, event type, channel; day 0 is the as-of day.
    public struct DayInput: Sendable {
        public let daily: [Float]
        public let context: [Float]
    }

    /// The input breaks a rule of the day input; `reason` says which.
    public struct DayInputError: Error, Equatable {
        public let reason: Reason
    }

    private static func must(_ condition: Bool, _ reason: Reason) throws {
        if !condition { throw DayInputError(reason: reason) }
    }
}

// MARK: - Instants and local times are milliseconds since 1970-01-01T00:00:00, dates are days since 1970-01-01

extension CoachFeatures {
    private static let minute = 60_000
    private static let hour = 60 * minute
    private static let day = 24 * hour

    private static let utc: Calendar = {
        var calendar = Calendar(identifier: .gregorian)
        calendar.timeZone = TimeZone(secondsFromGMT: 0)!
        return calendar
    }()

    /// Reads a text from left to right; ASCII digits only.
    private struct Cursor {
        private let bytes: [UInt8]
        private var index = 0

        init(_ text: String) { bytes = Array(text.utf8) }

        var isAtEnd: Bool { index == bytes.count }

        mutating func take(_ letter: Unicode.Scalar) -> Bool {
            guard index < bytes.count, bytes[index] == UInt8(ascii: letter) else { return false }
            index += 1
            return true
        }

        mutating func digit() -> Int? {
            guard index < bytes.count, (48...57).contains(bytes[index]) else { return nil }
            defer { index += 1 }
            return Int(bytes[index]) - 48
        }

        /// A number of exactly that many digits, at most `largest`.
        mutating func number(_ width: Int, upTo largest: Int) -> Int? {
            var value = 0
            for _ in 0..<width {
                guard let next = digit() else { return nil }
                value = value * 10 + next
            }
            return value <= largest ? value : nil
        }

        /// Days since 1970-01-01 of a date that exists.
        mutating func date() -> Int? {
            guard let year = number(4, upTo: lastYear), year >= firstYear, take("-"),
                let month = number(2, upTo: 12), take("-"), let dayOfMonth = number(2, upTo: 31),
                let date = utc.date(from: DateComponents(year: year, month: month, day: dayOfMonth))
            else { return nil }
            let shown = utc.dateComponents([.month, .day], from: date) // some calendars make 2 March of 30 February
            guard shown.month == month, shown.day == dayOfMonth else { return nil }
            return Int((date.timeIntervalSince1970 / 86_400).rounded())
        }

        /// Milliseconds of hours and minutes.
        mutating func clock() -> Int? {
            guard let hours = number(2, upTo: 23), take(":"), let minutes = number(2, upTo: 59) else { return nil }
            return hours * hour + minutes * minute
        }

        /// Milliseconds of the digits after a point; finer digits are dropped.
        mutating func fraction() -> Int? {
            guard take(".") else { return 0 }
            var value = 0, width = 0
            while let next = digit() {
                if width < 3 { value = value * 10 + next }
                width += 1
            }
            guard (1...9).contains(width) else { return nil }
            return width == 1 ? value * 100 : width == 2 ? value * 10 : value
        }

        mutating func instant() -> Int? {
            guard let date = date(), take("T"), let clock = clock(), take(":"),
                let seconds = number(2, upTo: 59), let fraction = fraction()
            else { return nil }
            let local = date * day + clock + seconds * 1000 + fraction
            if take("Z") { return local }
            let isAhead = take("+")
            guard isAhead || take("-"), let offset = self.clock() else { return nil }
            return isAhead ? local - offset : local + offset
        }
    }

    private static func calendarDay(_ text: String) throws -> Int {
        var cursor = Cursor(text)
        guard let date = cursor.date(), cursor.isAtEnd else { throw DayInputError(reason: .badContext) }
        return date
    }

    private static func instant(_ timestamp: String) throws -> Int {
        var cursor = Cursor(timestamp)
        guard let instant = cursor.instant(), cursor.isAtEnd else { throw DayInputError(reason: .badTimestamp) }
        return instant
    }

    /// A zone of the IANA database; Foundation also takes offsets, which are none.
    private static func timeZone(_ name: String) throws -> TimeZone {
        let isOffset = ["GMT+", "GMT-", "UTC+", "UTC-", "+", "-"].contains { name.hasPrefix($0) }
        guard !isOffset, let zone = TimeZone(identifier: name) else { throw DayInputError(reason: .badZone) }
        return zone
    }

    private static func local(_ instant: Int, _ zone: TimeZone) -> Int {
        instant + zone.secondsFromGMT(for: Date(timeIntervalSince1970: Double(instant) / 1000)) * 1000
    }

    /// Division that rounds down, before 1970 too.
    private static func floorDiv(_ value: Int, _ by: Int) -> Int {
        value >= 0 ? value / by : -((by - 1 - value) / by)
    }
}

// MARK: - The rules of docs/protocol/day-input.md

extension CoachFeatures {
    private struct Read: Equatable {
        let instant: Int
        let type: EventType
        let count: Int
        let value: Double?
        let goal: [UInt8]?
    }

    /// What identifies: strings that only look alike are equal in Swift, and here they are not.
    private static func bytes(_ name: String?) -> [UInt8]? { name.map { Array($0.utf8) } }

    private static func read(_ event: Event) throws -> Read {
        try must(event.eventId != "" && event.goalId != "", .badEvent)
        try must((0...maxCount).contains(event.count), .badCount)
        if let value = event.value { try must(abs(value) <= maxValue, .badValue) } // not-a-number is not
        let at = try instant(event.timestamp)
        return Read(instant: at, type: event.type, count: event.count, value: event.value, goal: bytes(event.goalId))
    }

    /// Events without an id always add up; one id is one event, and must say the same thing every time.
    private static func readAll(_ events: [Event]) throws -> [Read] {
        var byId: [[UInt8]: Read] = [:]
        var all: [Read] = []
        for event in events {
            let this = try read(event)
            if let id = bytes(event.eventId) {
                if let twin = byId[id] {
                    try must(twin == this, .eventIdConflict)
                    continue
                }
                byId[id] = this
            }
            all.append(this)
        }
        return all
    }

    private static func whole(_ number: Int?, _ low: Int) throws -> Double? {
        guard let number else { return nil }
        try must((low...maxCount).contains(number), .badContext)
        return Double(number)
    }

    /// Days from a date to today; what lies ahead has not happened.
    private static func age(_ date: String?, _ today: Int) throws -> Double? {
        guard let date else { return nil }
        let days = today - (try calendarDay(date))
        return days < 0 ? nil : Double(days)
    }

    private static func cell(_ day: Int, _ type: Int, _ channel: Channel) -> Int {
        (day * EventType.allCases.count + type) * Channel.allCases.count + channel.index
    }

    /// What the events of one user come to at an instant.
    ///
    /// - Parameters:
    ///   - events: in any order; what happened after `asOf` does not count.
    ///   - asOf: RFC 3339.
    ///   - zone: the user's IANA zone, such as `TimeZone.current.identifier`.
    /// - Throws: `DayInputError` where the input breaks a rule.
    public static func dayInput(
        events: [Event], asOf: String, zone: String, context: Context = Context()
    ) throws -> DayInput {
        let zone = try timeZone(zone), now = try instant(asOf), clock = local(now, zone)
        let today = floorDiv(clock, day)
        let since = try context.observedSince.map(calendarDay)
        if let since { try must(since <= today, .notObserved) }
        if let progress = context.progress { try must(progress >= 0 && progress <= 1, .badContext) }
        let observed = since.map { min(today - $0 + 1, windowDays) }
        var daily = [Double](repeating: 0, count: cell(windowDays, 0, .count)) // rounded once, at the end
        var lastAct: Int?
        var morningActs = 0
        for event in try readAll(events) where event.instant <= now {
            let shown = local(event.instant, zone)
            let index = today - floorDiv(shown, day) // below 0 where clocks went back over midnight: yet to come
            guard index >= 0, index < observed ?? windowDays else { continue }
            daily[cell(index, event.type.index, .count)] += Double(event.count)
            if let value = event.value {
                daily[cell(index, event.type.index, .values)] += 1
                daily[cell(index, event.type.index, .sum)] += value
            }
            if event.type == .taskDue || event.count == 0 { continue }
            lastAct = max(lastAct ?? event.instant, event.instant)
            if shown - floorDiv(shown, day) * day < 12 * hour { morningActs += event.count }
        }
        try must(daily.allSatisfy { abs($0) <= maxCell } && Double(morningActs) <= maxCell, .tooMany)
        let midnight = Date(timeIntervalSince1970: Double(today) * 86_400)
        let entries = try ContextEntry.allCases.map { entry -> Double? in
            switch entry {
            case .daysObserved: return observed.map(Double.init)
            case .accountAgeDays: return try age(context.accountSince, today)
            case .goalAgeDays: return try age(context.goalStart, today)
            case .goalTotalDays: return try whole(context.goalTotalDays, 1)
            case .goalsCompletedBefore: return try whole(context.goalsCompletedBefore, 0)
            case .progress: return context.progress
            case .hoursSinceLastAct: return lastAct.map { Double(now - $0) / Double(hour) }
            case .weekday: return Double((utc.component(.weekday, from: midnight) + 5) % 7) // 0 is Monday
            case .hourOfDay: return Double((clock - today * day) / hour)
            case .dayOfMonth: return Double(utc.component(.day, from: midnight))
            case .dayOfYear: return utc.ordinality(of: .day, in: .year, for: midnight).map(Double.init)
            case .morningActs: return Double(morningActs)
            case .goalsActive: return try whole(context.goalsActive, 0)
            case .goalsOverdue: return try whole(context.goalsOverdue, 0)
            }
        }
        return DayInput(daily: daily.map { Float($0) }, context: entries.map { Float($0 ?? unknown) })
    }
}

// MARK: - The evaluator: the steps of the program, in order, in double precision; a value is one number or one a day

extension CoachFeatures {
    private static func at(_ value: [Double], _ day: Int) -> Double { value.count == 1 ? value[0] : value[day] }

    private static func elementwise(_ op: Substring, _ a: Double, _ b: Double, _ c: Double) -> Double {
        switch op {
        case "add": return a + b
        case "sub": return a - b
        case "mul": return a * b
        case "div": return b == 0 ? 0 : a / b
        case "mod": return b == 0 ? 0 : a - b * (a / b).rounded(.down)
        case "min": return min(a, b)
        case "max": return max(a, b)
        case "less": return a < b ? 1 : 0
        case "where": return a != 0 ? b : c
        case "log1p": return log1p(max(a, 0))
        case "xlogx": return a > 0 ? a * log(a) : 0
        default: preconditionFailure("unknown operator \(op): generate this file again")
        }
    }

    /// The q-quantile of the values where the mask is not 0, by linear interpolation; 0 where there is none.
    private static func quantile(_ q: Double, _ values: [Double], _ mask: [Double]) -> Double {
        let kept = (0..<windowDays).filter { at(mask, $0) != 0 }.map { at(values, $0) }.sorted()
        if kept.isEmpty { return 0 }
        let position = q * Double(kept.count - 1)
        let low = Int(position)
        let above = kept[min(low + 1, kept.count - 1)]
        return kept[low] + (above - kept[low]) * (position - Double(low))
    }

    private static func step(
        _ op: Substring, _ numbers: [Double], _ values: [[Double]], _ input: DayInput
    ) -> [Double] {
        func value(_ index: Int) -> [Double] { values[Int(numbers[index])] }
        let days = 0..<windowDays
        switch op {
        case "const": return [numbers[0]]
        case "context": return [Double(input.context[Int(numbers[0])])]
        case "day": return days.map { Double($0) }
        case "decay": return days.map { pow(0.5, Double($0) / numbers[0]) }
        case "daily":
            let channel = Channel.allCases[Int(numbers[0])]
            return days.map { day in
                EventType.allCases.indices.reduce(0) { sum, type in
                    sum + numbers[1 + type] * Double(input.daily[cell(day, type, channel)])
                }
            }
        case "sum_days": return [days.reduce(0) { $0 + at(value(0), $1) }]
        case "min_days": return [days.reduce(Double.infinity) { min($0, at(value(0), $1)) }]
        case "quantile_days": return [quantile(numbers[0], value(1), value(2))]
        default: break
        }
        let of = numbers.indices.map(value)
        let a = of[0], b = of.count > 1 ? of[1] : a, c = of.count > 2 ? of[2] : a
        let size = of.allSatisfy { $0.count == 1 } ? 1 : windowDays
        return (0..<size).map { elementwise(op, at(a, $0), at(b, $0), at(c, $0)) }
    }

    /// The features in the order in which a model takes them.
    public static func featureVector(_ input: DayInput) -> [Float] {
        var values: [[Double]] = []
        for line in program.split(separator: "\n") {
            let words = line.split(separator: " ")
            values.append(step(words[0], words.dropFirst().map { Double($0)! }, values, input))
        }
        return outputs.map { Float(values[$0][0]) }
    }

    /// The features by name.
    public static func features(_ input: DayInput) -> [FeatureName: Float] {
        Dictionary(uniqueKeysWithValues: zip(FeatureName.allCases, featureVector(input)))
    }
}
