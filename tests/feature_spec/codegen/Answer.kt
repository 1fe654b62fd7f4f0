// Reads inputs, one field a line, and prints what the generated file says to each as one JSON document.
import coachedge.features.*

fun text(field: String): String? = if (field == "-") null
    else String(field.drop(1).chunked(2).map { it.toInt(16).toByte() }.toByteArray(), Charsets.UTF_8)

fun json(values: Iterable<Float>) = values.joinToString(",", "[", "]") { it.toDouble().toString() }

fun answer(events: List<Event>, fields: List<String>): String = try {
    val numbers = fields.drop(6).map { it.toIntOrNull() }
    val context = Context(
        text(fields[2]), text(fields[3]), text(fields[4]), numbers[0], numbers[1], fields[5].toDoubleOrNull(),
        numbers[2], numbers[3],
    )
    val input = dayInput(events, text(fields[0])!!, text(fields[1])!!, context)
    val vector = featureVector(input)
    check(features(input).values.toList() == vector.toList()) { "two answers" }
    val channels = Channel.entries.size
    val types = EventType.entries.size
    val cells = input.daily.withIndex().filter { it.value != 0f }.joinToString(",", "[", "]") { (index, value) ->
        "[${index / channels / types},${index / channels % types},${index % channels},${value.toDouble()}]"
    }
    """{"cells":$cells,"context":${json(input.context.toList())},"features":${json(vector.toList())}}"""
} catch (refusal: DayInputException) { // everything else is a bug, and no refusal
    """{"reason":"${refusal.reason.key}"}"""
}

fun main() {
    val events = ArrayList<Event>()
    for (line in generateSequence(::readlnOrNull)) {
        val (kind, fields) = line.split(' ').let { it[0] to it.drop(1) }
        if (kind == "event") {
            val type = EventType.entries.single { it.key == fields[1] }
            events += Event(
                text(fields[0])!!, type, fields[2].toInt(), fields[3].toDoubleOrNull(), text(fields[4]), text(fields[5]),
            )
        } else {
            println(answer(events.toList(), fields))
            events.clear()
        }
    }
}
