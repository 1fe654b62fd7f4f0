/**
 * Something that happened: docs/protocol/day-input.md says what each type means and which value it has.
 *
 * @property timestamp RFC 3339 with `Z` or an offset, such as `Instant.now().toString()`.
 * @property eventId whatever may be delivered twice needs an id: it counts once.
 */
data class Event(
    val timestamp: String,
    val type: EventType,
    val count: Int = 1,
    val value: Double? = null,
    val eventId: String? = null,
    val goalId: String? = null,
)

/** What is known besides events; null is unknown. Dates are local, `YYYY-MM-DD`; progress is 0 to 1. */
data class Context(
    val observedSince: String? = null,
    val accountSince: String? = null,
    val goalStart: String? = null,
    val goalTotalDays: Int? = null,
    val goalsCompletedBefore: Int? = null,
    val progress: Double? = null,
    val goalsActive: Int? = null,
    val goalsOverdue: Int? = null,
)

/** The two tensors: [daily] is flat in the order day, event type, channel; day 0 is the as-of day. */
class DayInput(val daily: FloatArray, val context: FloatArray)

/** The input breaks a rule of the day input; [reason] says which. */
class DayInputException(val reason: Reason) : IllegalArgumentException("the day input is refused: ${reason.key}")

private fun must(condition: Boolean, reason: Reason) {
    if (!condition) throw DayInputException(reason)
}

// ---- Instants and local times are milliseconds since 1970-01-01T00:00:00, dates are days since 1970-01-01

private const val HOUR = 3_600_000L
private const val DAY = 24 * HOUR
private const val CLOCK = "([01][0-9]|2[0-3]):([0-5][0-9])"
private val DATE = Regex("([0-9]{4})-([0-9]{2})-([0-9]{2})")
private val TIMESTAMP =
    Regex("([0-9]{4}-[0-9]{2}-[0-9]{2})T$CLOCK:([0-5][0-9])(?:\\.([0-9]{1,9}))?(?:Z|([+-])$CLOCK)")

private fun calendarDay(text: String, reason: Reason): Long {
    val (year, month, day) = DATE.matchEntire(text)?.destructured ?: throw DayInputException(reason)
    must(year.toInt() in FIRST_YEAR..LAST_YEAR, reason)
    try {
        return LocalDate.of(year.toInt(), month.toInt(), day.toInt()).toEpochDay()
    } catch (_: DateTimeException) { // no 30 February
        throw DayInputException(reason)
    }
}

private fun instantOf(timestamp: String): Long {
    val match = TIMESTAMP.matchEntire(timestamp) ?: throw DayInputException(Reason.BAD_TIMESTAMP)
    val (date, hour, minute, second, fraction, sign, aheadHours, aheadMinutes) = match.destructured
    val milliseconds = fraction.padEnd(3, '0').take(3).toLong() // finer digits are dropped
    val clock = ((hour.toLong() * 60 + minute.toLong()) * 60 + second.toLong()) * 1000 + milliseconds
    val ahead = if (sign.isEmpty()) 0L else (aheadHours.toLong() * 60 + aheadMinutes.toLong()) * 60_000
    return calendarDay(date, Reason.BAD_TIMESTAMP) * DAY + clock - if (sign == "-") -ahead else ahead
}

/** The rules of a zone of the IANA database; an offset is none. */
private fun rulesOf(zone: String): ZoneRules {
    must(zone in ZoneId.getAvailableZoneIds(), Reason.BAD_ZONE)
    return ZoneId.of(zone).rules
}

private fun ZoneRules.local(instant: Long): Long =
    instant + getOffset(Instant.ofEpochMilli(instant)).totalSeconds * 1000L

// ---- The rules of docs/protocol/day-input.md

private data class Read(val instant: Long, val type: EventType, val count: Int, val value: Double?, val goal: String?)

private fun read(event: Event): Read {
    must(event.eventId != "" && event.goalId != "", Reason.BAD_EVENT)
    must(event.count in 0..MAX_COUNT, Reason.BAD_COUNT)
    val value = event.value?.plus(0.0) // no negative zero: it would not be equal to zero
    must(value == null || (value >= -MAX_VALUE && value <= MAX_VALUE), Reason.BAD_VALUE) // not-a-number is neither
    return Read(instantOf(event.timestamp), event.type, event.count, value, event.goalId)
}

/** Events without an id always add up; one id is one event, and must say the same thing every time. */
private fun readAll(events: List<Event>): List<Read> {
    val byId = HashMap<String, Read>()
    return events.mapNotNull { event ->
        val read = read(event)
        val twin = event.eventId?.let { byId.put(it, read) }
        must(twin == null || twin == read, Reason.EVENT_ID_CONFLICT)
        read.takeIf { twin == null }
    }
}

private fun whole(number: Int?, low: Int): Double? {
    must(number == null || number in low..MAX_COUNT, Reason.BAD_CONTEXT)
    return number?.toDouble()
}

/** Days from a date to today; what lies ahead has not happened. */
private fun age(date: String?, today: Long): Double? =
    date?.let { today - calendarDay(it, Reason.BAD_CONTEXT) }?.takeIf { it >= 0 }?.toDouble()

private fun cellOf(day: Int, type: EventType, channel: Channel): Int =
    (day * EventType.entries.size + type.ordinal) * Channel.entries.size + channel.ordinal

/**
 * What the events of one user come to at an instant.
 *
 * @param events in any order; what happened after [asOf] does not count.
 * @param asOf RFC 3339.
 * @param zone the user's IANA zone, such as `ZoneId.systemDefault().id`.
 * @throws DayInputException where the input breaks a rule.
 */
fun dayInput(events: List<Event>, asOf: String, zone: String, context: Context = Context()): DayInput {
    val rules = rulesOf(zone)
    val now = instantOf(asOf)
    val clock = rules.local(now)
    val today = clock.floorDiv(DAY)
    val since = context.observedSince?.let { calendarDay(it, Reason.BAD_CONTEXT) }
    must(since == null || since <= today, Reason.NOT_OBSERVED)
    must(context.progress == null || (context.progress >= 0 && context.progress <= 1), Reason.BAD_CONTEXT)
    val observed = if (since == null) WINDOW_DAYS.toLong() else minOf(today - since + 1, WINDOW_DAYS.toLong())
    val daily = DoubleArray(WINDOW_DAYS * EventType.entries.size * Channel.entries.size) // rounded once, at the end
    var lastAct: Long? = null
    var morningActs = 0L
    for (event in readAll(events)) {
        if (event.instant > now) continue
        val local = rules.local(event.instant)
        val day = today - local.floorDiv(DAY) // below 0 where clocks went back over midnight: yet to come
        if (day < 0 || day >= observed) continue
        daily[cellOf(day.toInt(), event.type, Channel.COUNT)] += event.count.toDouble()
        if (event.value != null) {
            daily[cellOf(day.toInt(), event.type, Channel.VALUES)] += 1.0
            daily[cellOf(day.toInt(), event.type, Channel.SUM)] += event.value
        }
        if (event.type == EventType.TASK_DUE || event.count == 0) continue
        lastAct = maxOf(lastAct ?: event.instant, event.instant)
        if (local.mod(DAY) < 12 * HOUR) morningActs += event.count
    }
    must(daily.all { abs(it) <= MAX_CELL } && morningActs <= MAX_CELL, Reason.TOO_MANY)
    val date = LocalDate.ofEpochDay(today)
    val entries = ContextEntry.entries.map { entry ->
        when (entry) {
            ContextEntry.DAYS_OBSERVED -> since?.let { observed.toDouble() }
            ContextEntry.ACCOUNT_AGE_DAYS -> age(context.accountSince, today)
            ContextEntry.GOAL_AGE_DAYS -> age(context.goalStart, today)
            ContextEntry.GOAL_TOTAL_DAYS -> whole(context.goalTotalDays, 1)
            ContextEntry.GOALS_COMPLETED_BEFORE -> whole(context.goalsCompletedBefore, 0)
            ContextEntry.PROGRESS -> context.progress
            ContextEntry.HOURS_SINCE_LAST_ACT -> lastAct?.let { (now - it).toDouble() / HOUR }
            ContextEntry.WEEKDAY -> (date.dayOfWeek.value - 1).toDouble() // 0 is Monday
            ContextEntry.HOUR_OF_DAY -> (clock.mod(DAY) / HOUR).toDouble()
            ContextEntry.DAY_OF_MONTH -> date.dayOfMonth.toDouble()
            ContextEntry.DAY_OF_YEAR -> date.dayOfYear.toDouble()
            ContextEntry.MORNING_ACTS -> morningActs.toDouble()
            ContextEntry.GOALS_ACTIVE -> whole(context.goalsActive, 0)
            ContextEntry.GOALS_OVERDUE -> whole(context.goalsOverdue, 0)
        }
    }
    return DayInput(
        FloatArray(daily.size) { daily[it].toFloat() },
        FloatArray(entries.size) { (entries[it] ?: UNKNOWN).toFloat() },
    )
}

// ---- The evaluator: the steps of PROGRAM, in order, in double precision; a value is one number or one a day

private fun DoubleArray.at(day: Int): Double = this[if (size == 1) 0 else day]

private fun scalar(value: Double): DoubleArray = doubleArrayOf(value)

private fun days(of: (Int) -> Double): DoubleArray = DoubleArray(WINDOW_DAYS, of)

private fun elementwise(op: String, a: Double, b: Double, c: Double): Double = when (op) {
    "add" -> a + b
    "sub" -> a - b
    "mul" -> a * b
    "div" -> if (b == 0.0) 0.0 else a / b
    "mod" -> if (b == 0.0) 0.0 else a - b * floor(a / b)
    "min" -> minOf(a, b)
    "max" -> maxOf(a, b)
    "less" -> if (a < b) 1.0 else 0.0
    "where" -> if (a != 0.0) b else c
    "log1p" -> ln1p(maxOf(a, 0.0))
    "xlogx" -> if (a > 0) a * ln(a) else 0.0
    else -> error("unknown operator $op: generate this file again")
}

/** The q-quantile of the values where the mask is not 0, by linear interpolation; 0 where there is none. */
private fun quantile(q: Double, values: DoubleArray, mask: DoubleArray): Double {
    val kept = (0 until WINDOW_DAYS).filter { mask.at(it) != 0.0 }.map { values.at(it) }.sorted()
    if (kept.isEmpty()) return 0.0
    val position = q * (kept.size - 1)
    val low = floor(position).toInt()
    val above = kept[minOf(low + 1, kept.size - 1)]
    return kept[low] + (above - kept[low]) * (position - low)
}

private fun step(op: String, numbers: DoubleArray, values: List<DoubleArray>, input: DayInput): DoubleArray {
    fun value(index: Int) = values[numbers[index].toInt()]
    when (op) {
        "const" -> return scalar(numbers[0])
        "context" -> return scalar(input.context[numbers[0].toInt()].toDouble())
        "day" -> return days { it.toDouble() }
        "decay" -> return days { 0.5.pow(it / numbers[0]) }
        "daily" -> return days { day ->
            val channel = Channel.entries[numbers[0].toInt()]
            EventType.entries.sumOf { numbers[1 + it.ordinal] * input.daily[cellOf(day, it, channel)] }
        }
        "sum_days" -> return scalar((0 until WINDOW_DAYS).sumOf { value(0).at(it) })
        "min_days" -> return scalar((0 until WINDOW_DAYS).minOf { value(0).at(it) })
        "quantile_days" -> return scalar(quantile(numbers[0], value(1), value(2)))
    }
    val of = numbers.indices.map(::value)
    val (a, b, c) = List(3) { of.getOrElse(it) { of[0] } }
    val size = if (of.all { it.size == 1 }) 1 else WINDOW_DAYS
    return DoubleArray(size) { elementwise(op, a.at(it), b.at(it), c.at(it)) }
}

/** The features in the order in which a model takes them. */
fun featureVector(input: DayInput): FloatArray {
    val values = ArrayList<DoubleArray>()
    for (line in PROGRAM.flatMap { it.trim().lines() }) {
        val words = line.split(' ')
        val numbers = DoubleArray(words.size - 1) { words[it + 1].toDouble() }
        values += step(words[0], numbers, values, input)
    }
    return FloatArray(OUTPUTS.size) { values[OUTPUTS[it]][0].toFloat() }
}

/** The features by name. */
fun features(input: DayInput): Map<FeatureName, Float> {
    val vector = featureVector(input)
    return FeatureName.entries.associateWith { vector[it.ordinal] }
}
