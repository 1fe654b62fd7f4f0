// docs/protocol/day-input.md: from events to two tensors, and from these to the features of feature_spec.json
import { attempt, calendarDay, CLOCK, DAY, isObject, must } from "./documents.mjs";

const TYPES = [
  "session", "message", "task_due", "task_done", "progress", "check_in", "content_view", "feedback",
];
const CHANNELS = ["count", "values", "sum"];
const CONTEXT = [
  "days_observed", "account_age_days", "goal_age_days",
  "goal_total_days", "goals_completed_before", "progress",
];
const EVENT_KEYS = ["timestamp", "event_type", "count", "value", "event_id", "goal_id"];
const CONTEXT_KEYS = ["observed_since", "account_since", "goal_start", ...CONTEXT.slice(3)];
const WINDOW = 90, UNKNOWN = -1, LARGEST = 1000000;
const DATE = "\\d{4}-\\d\\d-\\d\\d", FRACTION = "(?:\\.(\\d{1,9}))?";
const TIMESTAMP = new RegExp(`^(${DATE})T(${CLOCK}:[0-5]\\d)${FRACTION}(?:Z|([+-])(${CLOCK}))$`);
const cellAt = (day, type, channel) => (day * TYPES.length + type) * CHANNELS.length + channel;
const isObjectOf = (keys, value) => isObject(value) && Object.keys(value).every((key) => keys.includes(key));

/** The day of a date whose year, as written, is 1970 to 2199. */
function inYears(date, reason) {
  const day = calendarDay(date, reason);
  must(date >= "1970" && date < "2200", reason);
  return day;
}

/** Milliseconds since 1970; finer digits are dropped. */
function instant(timestamp) {
  const match = typeof timestamp === "string" && TIMESTAMP.exec(timestamp);
  must(match, "bad-timestamp");
  const [, date, clock, fraction = "", sign, offset = "00:00"] = match;
  const sinceMidnight = Date.parse(`1970-01-01T${clock}.${`${fraction}000`.slice(0, 3)}Z`);
  const ahead = Date.parse(`1970-01-01T${offset}Z`) * (sign === "-" ? -1 : 1);
  return inYears(date, "bad-timestamp") * DAY + sinceMidnight - ahead;
}

/** A function from an instant to the calendar day that the clocks of a zone show. */
function daysOf(zone) {
  must(typeof zone === "string" && /^[A-Za-z]/.test(zone), "bad-zone"); // an offset is no zone
  const parts = { year: "numeric", month: "2-digit", day: "2-digit" };
  const options = { timeZone: zone, calendar: "gregory", numberingSystem: "latn", ...parts };
  const formatter = attempt(() => new Intl.DateTimeFormat("en", options), "bad-zone");
  return (at) => {
    const shown = Object.fromEntries(formatter.formatToParts(at).map(({ type, value }) => [type, value]));
    return calendarDay(`${shown.year}-${shown.month}-${shown.day}`);
  };
}

function readEvent(event) {
  must(isObjectOf(EVENT_KEYS, event) && "timestamp" in event && "event_type" in event, "bad-event");
  const { timestamp, event_type: type } = event;
  const count = event.count ?? 1, value = event.value ?? null; // null is the same as absent
  const id = event.event_id ?? null, goal = event.goal_id ?? null;
  must([id, goal].every((name) => name === null || (typeof name === "string" && name !== "")), "bad-event");
  must(TYPES.includes(type), "unknown-event-type");
  must(Number.isInteger(count) && count >= 0 && count <= LARGEST, "bad-count");
  must(value === null || (typeof value === "number" && Math.abs(value) <= LARGEST), "bad-value");
  return { at: instant(timestamp), type: TYPES.indexOf(type), count, value, id, goal };
}

function withoutDuplicates(events) {
  const byId = new Map();
  return events.filter((event) => {
    const twin = event.id === null ? undefined : byId.get(event.id); // without an id, equal events add up
    byId.set(event.id, event);
    must(!twin || Object.keys(event).every((key) => event[key] === twin[key]), "event-id-conflict");
    return !twin;
  });
}

function readContext(context, today) {
  must(isObjectOf(CONTEXT_KEYS, context), "bad-context");
  const [observed, account, goal] = CONTEXT_KEYS.slice(0, 3).map((key) =>
    (context[key] ?? null) === null ? null : today - inYears(context[key], "bad-context"));
  must(observed === null || observed >= 0, "not-observed");
  const [total, completed, progress] = CONTEXT_KEYS.slice(3).map((key) => context[key] ?? null);
  const isWhole = (value, low) => Number.isInteger(value) && value >= low && value <= LARGEST;
  must(total === null || isWhole(total, 1), "bad-context");
  must(completed === null || isWhole(completed, 0), "bad-context");
  must(progress === null || (typeof progress === "number" && progress >= 0 && progress <= 1), "bad-context");
  const ages = [account, goal].map((age) => (age < 0 ? null : age)); // a date ahead has not happened
  const days = observed === null ? null : Math.min(observed + 1, WINDOW);
  return [days, ...ages, total, completed, progress].map((value) => Math.fround(value ?? UNKNOWN));
}

/** The tensors: `daily`, flat in the order day, event type, channel; `context`. Both rounded to float32. */
export function dayInput({ as_of: asOf, zone, context: known, events }) {
  const dayOf = daysOf(zone), now = instant(asOf), today = dayOf(now), context = readContext(known, today);
  const observed = context[0] === UNKNOWN ? WINDOW : context[0];
  const daily = new Array(cellAt(WINDOW, 0, 0)).fill(0); // doubles, rounded once at the end
  for (const { at, type, count, value } of withoutDuplicates(events.map(readEvent))) {
    const day = today - dayOf(at); // below 0 where clocks went back over midnight: yet to come
    if (at > now || day < 0 || day >= observed) continue;
    const added = value === null ? [count, 0, 0] : [count, 1, value];
    added.forEach((amount, channel) => { daily[cellAt(day, type, channel)] += amount; });
  }
  must(daily.every((cell) => Math.abs(cell) <= 2 ** 24), "too-many");
  return { daily: daily.map(Math.fround), context };
}

/** The cells that are not zero, as [day, event type, channel, value]. */
export const nonZeroCells = (daily) => daily.flatMap((value, index) =>
  value === 0 ? [] : [[Math.floor(index / 24), Math.floor(index / 3) % 8, index % 3, value]]);

const PAIRWISE = {
  add: (a, b) => a + b, sub: (a, b) => a - b, mul: (a, b) => a * b, div: (a, b) => (b === 0 ? 0 : a / b),
  min: Math.min, max: Math.max, less: (a, b) => (a < b ? 1 : 0),
  where: (condition, a, b) => (condition !== 0 ? a : b), log1p: (a) => Math.log1p(Math.max(a, 0)),
};
const OVER_DAYS = {
  sum_days: (days) => days.reduce((sum, day) => sum + day, 0), min_days: (days) => Math.min(...days),
};

/** The value of a tree, always as 90 days: a scalar is the same number 90 times. */
function evaluate(tree, { daily, context }) {
  const days = (value) => Array.from({ length: WINDOW }, (_, day) => value(day));
  if (typeof tree === "number") return days(() => tree);
  const [operator, ...operands] = tree;
  if (operator === "day") return days((day) => day);
  if (operator === "decay") return days((day) => 0.5 ** (day / operands[0]));
  if (operator === "context") return days(() => context[CONTEXT.indexOf(operands[0])]);
  if (operator === "daily") {
    const channel = CHANNELS.indexOf(operands[0]), weights = Object.entries(operands[1]);
    return days((day) => weights.reduce((sum, [type, weight]) =>
      sum + weight * daily[cellAt(day, TYPES.indexOf(type), channel)], 0));
  }
  const values = operands.map((operand) => evaluate(operand, { daily, context }));
  if (operator in OVER_DAYS) return days(() => 0).fill(OVER_DAYS[operator](values[0]));
  return days((day) => PAIRWISE[operator](...values.map((value) => value[day])));
}

/** One number for each feature of the definitions. */
export const computeFeatures = (spec, tensors) => spec.features.map((feature) => {
  if (feature.known !== null && evaluate(feature.known, tensors)[0] === 0) return feature.missing;
  return Math.max(feature.low, Math.min(feature.high, evaluate(feature.expression, tensors)[0]));
});
