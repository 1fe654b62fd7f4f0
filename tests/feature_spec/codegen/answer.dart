// Reads inputs, one field a line, and prints what the generated file says to each as one JSON document.
import 'dart:convert';
import 'dart:io';

import 'features.dart';

String? text(String field) {
  if (field == '-') return null;
  return utf8.decode([
    for (var at = 1; at < field.length; at += 2) int.parse(field.substring(at, at + 2), radix: 16),
  ]);
}

Map<String, Object> answer(List<Event> events, List<String> fields, ZoneLookup zones) {
  final context = Context(
    observedSince: text(fields[2]),
    accountSince: text(fields[3]),
    goalStart: text(fields[4]),
    goalTotalDays: int.tryParse(fields[6]),
    goalsCompletedBefore: int.tryParse(fields[7]),
    progress: double.tryParse(fields[5]),
    goalsActive: int.tryParse(fields[8]),
    goalsOverdue: int.tryParse(fields[9]),
  );
  try {
    final input = dayInput(events, asOf: text(fields[0])!, zone: text(fields[1])!, zones: zones, context: context);
    final vector = featureVector(input), named = features(input);
    for (final name in FeatureName.values) {
      if (named[name] != vector[name.index]) throw StateError('two answers');
    }
    const channels = Channel.values, types = EventType.values;
    final rows = channels.length, days = rows * types.length;
    return {
      'cells': [
        for (var at = 0; at < input.daily.length; at++)
          if (input.daily[at] != 0) [at ~/ days, at ~/ rows % types.length, at % rows, input.daily[at]],
      ],
      'context': input.context,
      'features': vector,
    };
  } on DayInputException catch (refusal) {
    return {'reason': refusal.reason.key};
  }
}

void main() {
  var events = <Event>[];
  var offsets = <int, int>{};
  String? zone;
  String? line;
  while ((line = stdin.readLineSync()) != null) {
    final words = line!.split(' '), fields = words.sublist(1);
    switch (words[0]) {
      case 'zone':
        zone = text(fields[0]);
      case 'offset':
        offsets[int.parse(fields[0])] = int.parse(fields[1]);
      case 'event':
        final type = EventType.values.singleWhere((each) => each.key == fields[1]);
        events.add(Event(text(fields[0])!, type,
            count: int.parse(fields[2]), value: double.tryParse(fields[3]), eventId: text(fields[4]), goalId: text(fields[5])));
      default:
        final known = offsets, name = zone;
        ZoneOffset? zones(String asked) => asked == name ? (instant) => known[instant]! : null;
        print(jsonEncode(answer(events, fields, zones)));
        events = [];
        offsets = {};
        zone = null;
    }
  }
}
