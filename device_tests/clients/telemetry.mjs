// docs/protocol/telemetry.md: reports, and the bins that things are counted in.
import {
  all, ascendingBy, integer, isName, list, matching, modelVersion, must, object, oneOf, readJson, release,
  sha256, text, unixTime, when,
} from "./documents.mjs";

const BINS = { latency: 194, feature: 23, score: 23 };
const MOST = Number.MAX_SAFE_INTEGER;
const FIELDS = [
  "format", "sdk", "engine", "engine_version", "platform", "channel", "model", "model_version", "release",
  "start", "end", "counts", "histograms", "alerts", "nonce",
];
const SUBJECT = object({
  format: oneOf("coach-edge/telemetry/1"),
  sdk: integer(1, MOST),
  engine: isName,
  engine_version: matching("[0-9A-Za-z.+-]{1,32}"),
  platform: oneOf("android", "ios", "linux", "macos", "windows", "other"),
  channel: isName,
  model: isName,
  model_version: modelVersion,
  release,
  start: unixTime,
  end: unixTime,
  counts: object({}),
  histograms: object({}),
  alerts: all(list(oneOf("errors", "hits", "latency")), ascendingBy((a, b) => (a < b ? -1 : 1))),
  nonce: matching("[0-9a-f]{32}"),
});
const PRIVACY = object({
  mechanism: oneOf("discrete-laplace"), epsilon_milli: integer(1, MOST), sensitivity: integer(1, MOST),
});
const COUNT = matching("(prediction|error|result_cache|feature_cache)\\.[a-z][a-z_]{0,39}");
const only = (value, names) => must(Object.keys(value).every((name) => names.includes(name)));
const sum = (numbers) => numbers.reduce((total, number) => total + number, 0);

export function readReport(bytes) {
  const report = readJson(bytes, 65536, SUBJECT);
  const isPrivate = Object.hasOwn(report, "privacy");
  only(report, isPrivate ? [...FIELDS, "privacy"] : FIELDS);
  if (isPrivate) {
    PRIVACY(report.privacy);
    only(report.privacy, ["mechanism", "epsilon_milli", "sensitivity"]);
    must(report.alerts.length === 0);
  }
  const [start, end] = [report.start, report.end].map(unixTime);
  must(start % 3600 === 0 && end % 3600 === 0 && start < end && end - start <= 31 * 86400);
  const amount = all(integer(isPrivate ? -MOST : 1, MOST), when((count) => count !== 0));
  const counts = Object.entries(report.counts), histograms = Object.entries(report.histograms);
  must(counts.length <= 64 && histograms.length <= 256);
  counts.forEach(([name, count]) => { COUNT(name); amount(count); });
  for (const [name, pairs] of histograms) {
    const [kind, rest] = [name.split(".", 1)[0], name.slice(name.indexOf(".") + 1)];
    must(name.includes(".") && Object.hasOwn(BINS, kind));
    text(1, 100)(rest);
    const bin = integer(0, BINS[kind] - 1);
    list(all(list(integer(-MOST, MOST), 2, 2), ([at, count]) => { bin(at); amount(count); }), 1)(pairs);
    ascendingBy(([a], [b]) => (a < b ? -1 : 1))(pairs);
  }
  const answers = counts.filter(([name]) => name.startsWith("prediction."));
  const predictions = sum(answers.map(([, count]) => count));
  must(isPrivate || predictions >= 50);
  return { key: sha256(bytes), predictions };
}

function tally(bins) {
  const counts = new Map();
  bins.forEach((bin) => counts.set(bin, (counts.get(bin) ?? 0) + 1));
  return { bins: [...counts].sort(([a], [b]) => a - b) };
}

export function sketchValues({ low, high, values }) {
  const width = high - low;
  return tally(values.map((value) => {
    if (value === null) return 22;
    if (value < low || value > high) return value < low ? 20 : 21;
    return width > 0 && Number.isFinite(width) ? Math.min(19, Math.floor(((value - low) / width) * 20)) : 0;
  }));
}

export function countLatencies({ durations_ns: durations }) {
  return tally(durations.map((t) => {
    if (t < 2 ** 10 || t >= 2 ** 34) return t < 2 ** 10 ? 0 : 193;
    const p = Math.max(...Array.from({ length: 34 }, (_, power) => power).filter((power) => 2 ** power <= t));
    return 8 * (p - 10) + Math.floor((t - 2 ** p) / 2 ** (p - 3)) + 1;
  }));
}
