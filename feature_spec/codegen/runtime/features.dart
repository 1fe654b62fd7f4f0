
/// Something that happened: docs/protocol/day-input.md says what each type means and which value it has.
class Event {
  const Event(this.timestamp, this.type, {this.count = 1, this.value, this.eventId, this.goalId});

  /// RFC 3339 with `Z` or an offset, such as `DateTime.now().toUtc().toIso8601String()`.
  final String timestamp;
  final EventType type;
  final int count;
  final double? value;

  /// Whatever may be delivered twice needs an id: it counts once.
  final String? eventId;
  final String? goalId;
}

/// What is known besides events; null is unknown. Dates are local, `YYYY-MM-DD`; progress is 0 to 1.
class Context {
  const Context({
    this.observedSince,
    this.accountSince,
    this.goalStart,
    this.goalTotalDays,
    this.goalsCompletedBefore,
    this.progress,
    this.goalsActive,
    this.goalsOverdue,
  });

  final String? observedSince;
  final String? accountSince;
  final String? goalStart;
  final int? goalTotalDays;
  final int? goalsCompletedBefore;
  final double? progress;
  final int? goalsActive;
  final int? goalsOverdue;
}

/// The two tensors: [daily] is flat in the order day, event type, channel; day 0 is the as-of day.
class DayInput {
  const DayInput(this.daily, this.context);

  final Float32List daily;
  final Float32List context;
}

/// The input breaks a rule of the day input; [reason] says which.
class DayInputException implements Exception {
  const DayInputException(this.reason);

  final Reason reason;

  @override
  String toString() => 'the day input is refused: ${reason.key}';
}

/// How many milliseconds the clocks of a zone are ahead of UTC at an instant (milliseconds since 1970).
typedef ZoneOffset = int Function(int instant);

/// The zone of the IANA database with that name, null where there is none. Dart has no such database of its own: with
/// the package `timezone` it is
///
///     ZoneOffset? zones(String name) {
///       final location = tz.timeZoneDatabase.locations[name];
///       if (location == null) return null;
///       return (instant) =>
///           tz.TZDateTime.fromMillisecondsSinceEpoch(location, instant).timeZoneOffset.inMilliseconds;
///     }
typedef ZoneLookup = ZoneOffset? Function(String name);

void _must(bool condition, Reason reason) {
  if (!condition) throw DayInputException(reason);
}

// ---- Instants and local times are milliseconds since 1970-01-01T00:00:00, dates are days since 1970-01-01

const _minute = 60000;
const _hour = 60 * _minute;
const _day = 24 * _hour;
const _clock = '([01][0-9]|2[0-3]):([0-5][0-9])';
final _date = RegExp(r'^([0-9]{4})-([0-9]{2})-([0-9]{2})$');
final _timestamp = RegExp(
  '^([0-9]{4}-[0-9]{2}-[0-9]{2})T$_clock:([0-5][0-9])(?:\\.([0-9]{1,9}))?(?:Z|([+-])$_clock)\$',
);

int _calendarDay(String text, Reason reason) {
  final match = _date.firstMatch(text);
  if (match == null) throw DayInputException(reason);
  final year = int.parse(match[1]!), month = int.parse(match[2]!), day = int.parse(match[3]!);
  final midnight = DateTime.utc(year, month, day);
  _must(midnight.month == month && midnight.day == day, reason); // no 30 February
  _must(year >= firstYear && year <= lastYear, reason);
  return midnight.millisecondsSinceEpoch ~/ _day;
}

int _instantOf(String timestamp) {
  final match = _timestamp.firstMatch(timestamp);
  if (match == null) throw const DayInputException(Reason.badTimestamp);
  final milliseconds = int.parse((match[5] ?? '').padRight(3, '0').substring(0, 3)); // finer digits are dropped
  final clock = int.parse(match[2]!) * _hour + int.parse(match[3]!) * _minute + int.parse(match[4]!) * 1000;
  final local = _calendarDay(match[1]!, Reason.badTimestamp) * _day + clock + milliseconds;
  if (match[6] == null) return local;
  final ahead = int.parse(match[7]!) * _hour + int.parse(match[8]!) * _minute;
  return match[6] == '+' ? local - ahead : local + ahead;
}

/// Division that rounds down, before 1970 too.
int _floorDiv(int value, int by) => (value - value % by) ~/ by; // the remainder is never negative

// ---- The rules of docs/protocol/day-input.md

class _Read {
  _Read(Event event)
      : instant = _instantOf(event.timestamp),
        type = event.type,
        count = event.count,
        value = event.value,
        goal = event.goalId {
    final amount = value;
    _must(event.eventId != '' && goal != '', Reason.badEvent);
    _must(count >= 0 && count <= maxCount, Reason.badCount);
    _must(amount == null || amount.abs() <= maxValue, Reason.badValue); // not-a-number is not
  }

  final int instant;
  final EventType type;
  final int count;
  final double? value;
  final String? goal;

  bool isSame(_Read other) =>
      instant == other.instant &&
      type == other.type &&
      count == other.count &&
      value == other.value &&
      goal == other.goal;
}

/// Events without an id always add up; one id is one event, and must say the same thing every time.
List<_Read> _readAll(Iterable<Event> events) {
  final byId = <String, _Read>{}, all = <_Read>[];
  for (final event in events) {
    final read = _Read(event), id = event.eventId;
    final twin = id == null ? null : byId[id];
    if (twin == null) {
      if (id != null) byId[id] = read;
      all.add(read);
    } else {
      _must(twin.isSame(read), Reason.eventIdConflict);
    }
  }
  return all;
}

double? _whole(int? number, int low) {
  _must(number == null || (number >= low && number <= maxCount), Reason.badContext);
  return number?.toDouble();
}

/// Days from a date to today; what lies ahead has not happened.
double? _age(String? date, int today) {
  if (date == null) return null;
  final days = today - _calendarDay(date, Reason.badContext);
  return days < 0 ? null : days.toDouble();
}

int _cell(int day, int type, int channel) => (day * EventType.values.length + type) * Channel.values.length + channel;

/// What the events of one user come to at an instant.
///
/// [events] are in any order, and what happened after [asOf] (RFC 3339) does not count; [zone] is the user's IANA
/// zone, which [zones] knows. Throws [DayInputException] where the input breaks a rule.
DayInput dayInput(
  Iterable<Event> events, {
  required String asOf,
  required String zone,
  required ZoneLookup zones,
  Context context = const Context(),
}) {
  final offset = zones(zone), now = _instantOf(asOf);
  if (offset == null) throw const DayInputException(Reason.badZone);
  final clock = now + offset(now), today = _floorDiv(clock, _day);
  final since = context.observedSince == null ? null : _calendarDay(context.observedSince!, Reason.badContext);
  _must(since == null || since <= today, Reason.notObserved);
  final progress = context.progress;
  _must(progress == null || (progress >= 0 && progress <= 1), Reason.badContext);
  final observed = since == null ? windowDays : min(today - since + 1, windowDays);
  final daily = Float64List(_cell(windowDays, 0, 0)); // doubles, rounded once at the end
  int? lastAct;
  var morningActs = 0;
  for (final event in _readAll(events)) {
    if (event.instant > now) continue;
    final local = event.instant + offset(event.instant), value = event.value;
    final day = today - _floorDiv(local, _day); // below 0 where clocks went back over midnight: yet to come
    if (day < 0 || day >= observed) continue;
    daily[_cell(day, event.type.index, Channel.count.index)] += event.count;
    if (value != null) {
      daily[_cell(day, event.type.index, Channel.values_.index)] += 1;
      daily[_cell(day, event.type.index, Channel.sum.index)] += value;
    }
    if (event.type == EventType.taskDue || event.count == 0) continue;
    lastAct = max(lastAct ?? event.instant, event.instant);
    if (local % _day < 12 * _hour) morningActs += event.count;
  }
  _must(daily.every((cell) => cell.abs() <= maxCell) && morningActs <= maxCell, Reason.tooMany);
  final date = DateTime.fromMillisecondsSinceEpoch(today * _day, isUtc: true), last = lastAct;
  double? entry(ContextEntry name) {
    switch (name) {
      case ContextEntry.daysObserved:
        return since == null ? null : observed.toDouble();
      case ContextEntry.accountAgeDays:
        return _age(context.accountSince, today);
      case ContextEntry.goalAgeDays:
        return _age(context.goalStart, today);
      case ContextEntry.goalTotalDays:
        return _whole(context.goalTotalDays, 1);
      case ContextEntry.goalsCompletedBefore:
        return _whole(context.goalsCompletedBefore, 0);
      case ContextEntry.progress:
        return progress;
      case ContextEntry.hoursSinceLastAct:
        return last == null ? null : (now - last) / _hour;
      case ContextEntry.weekday:
        return date.weekday - 1.0; // 0 is Monday
      case ContextEntry.hourOfDay:
        return ((clock - today * _day) ~/ _hour).toDouble();
      case ContextEntry.dayOfMonth:
        return date.day.toDouble();
      case ContextEntry.dayOfYear:
        return date.difference(DateTime.utc(date.year)).inDays + 1.0;
      case ContextEntry.morningActs:
        return morningActs.toDouble();
      case ContextEntry.goalsActive:
        return _whole(context.goalsActive, 0);
      case ContextEntry.goalsOverdue:
        return _whole(context.goalsOverdue, 0);
    }
  }

  return DayInput(
    Float32List.fromList(daily),
    Float32List.fromList([for (final name in ContextEntry.values) entry(name) ?? unknown]),
  );
}

// ---- The evaluator: the steps of the program, in order, in double precision; a value is one number or one a day

double _at(List<double> value, int day) => value.length == 1 ? value[0] : value[day];

List<double> _days(double Function(int day) of) => List.generate(windowDays, of);

/// ln(1 + x) without losing the digits of a small x, which `dart:math` lacks.
double _log1p(double x) {
  final sum = 1 + x;
  return sum == 1 ? x : log(sum) * x / (sum - 1);
}

double _elementwise(String op, double a, double b, double c) {
  switch (op) {
    case 'add':
      return a + b;
    case 'sub':
      return a - b;
    case 'mul':
      return a * b;
    case 'div':
      return b == 0 ? 0 : a / b;
    case 'mod':
      return b == 0 ? 0 : a - b * (a / b).floorToDouble();
    case 'min':
      return min(a, b);
    case 'max':
      return max(a, b);
    case 'less':
      return a < b ? 1 : 0;
    case 'where':
      return a != 0 ? b : c;
    case 'log1p':
      return _log1p(max(a, 0));
    case 'xlogx':
      return a > 0 ? a * log(a) : 0;
    default:
      throw StateError('unknown operator $op: generate this file again');
  }
}

/// The q-quantile of the values where the mask is not 0, by linear interpolation; 0 where there is none.
double _quantile(double q, List<double> values, List<double> mask) {
  final kept = [
    for (var day = 0; day < windowDays; day++)
      if (_at(mask, day) != 0) _at(values, day),
  ]..sort();
  if (kept.isEmpty) return 0;
  final position = q * (kept.length - 1), low = position.floor();
  final above = kept[min(low + 1, kept.length - 1)];
  return kept[low] + (above - kept[low]) * (position - low);
}

List<double> _step(String op, List<double> numbers, List<List<double>> values, DayInput input) {
  List<double> value(int index) => values[numbers[index].toInt()];
  switch (op) {
    case 'const':
      return [numbers[0]];
    case 'context':
      return [input.context[numbers[0].toInt()]];
    case 'day':
      return _days((day) => day.toDouble());
    case 'decay':
      return _days((day) => pow(0.5, day / numbers[0]).toDouble());
    case 'daily':
      return _days((day) {
        var sum = 0.0;
        for (final type in EventType.values) {
          sum += numbers[1 + type.index] * input.daily[_cell(day, type.index, numbers[0].toInt())];
        }
        return sum;
      });
    case 'sum_days':
      return [_days((day) => _at(value(0), day)).reduce((sum, each) => sum + each)];
    case 'min_days':
      return [_days((day) => _at(value(0), day)).reduce(min)];
    case 'quantile_days':
      return [_quantile(numbers[0], value(1), value(2))];
  }
  final of = [for (var index = 0; index < numbers.length; index++) value(index)];
  final a = of[0], b = of.length > 1 ? of[1] : a, c = of.length > 2 ? of[2] : a;
  final size = of.every((operand) => operand.length == 1) ? 1 : windowDays;
  return List.generate(size, (day) => _elementwise(op, _at(a, day), _at(b, day), _at(c, day)));
}

/// The features in the order in which a model takes them.
Float32List featureVector(DayInput input) {
  final values = <List<double>>[];
  for (final line in _program.trim().split('\n')) {
    final words = line.split(' ');
    values.add(_step(words[0], [for (final word in words.skip(1)) double.parse(word)], values, input));
  }
  return Float32List.fromList([for (final index in _outputs) values[index][0]]);
}

/// The features by name.
Map<FeatureName, double> features(DayInput input) => Map.fromIterables(FeatureName.values, featureVector(input));
