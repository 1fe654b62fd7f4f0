// docs/protocol/day-input.md: from events to two tensors
import { attempt, calendarDay, CLOCK, DAY, isObject, must } from "./documents.mjs";

export const TYPES = [
  "session", "message", "task_due", "task_done", "progress", "check_in", "content_view", "feedback",
];
export const CHANNELS = ["count", "values", "sum"];
export const CONTEXT = [
  "days_observed", "account_age_days", "goal_age_days", "goal_total_days", "goals_completed_before",
  "progress", "hours_since_last_act", "weekday", "hour_of_day", "day_of_month", "day_of_year",
  "morning_acts", "goals_active", "goals_overdue",
];
const EVENT_KEYS = ["timestamp", "event_type", "count", "value", "event_id", "goal_id"];
const DATES = ["observed_since", "account_since", "goal_start"];
const NUMBERS = ["goal_total_days", "goals_completed_before", "progress", "goals_active", "goals_overdue"];
export const WINDOW = 90;
const UNKNOWN = -1, LARGEST = 1000000, HOUR = 3600000, NOON = 12, LARGEST_CELL = 2 ** 24;
const DATE = "\\d{4}-\\d\\d-\\d\\d", FRACTION = "(?:\\.(\\d{1,9}))?";
const TIMESTAMP = new RegExp(`^(${DATE})T(${CLOCK}:[0-5]\\d)${FRACTION}(?:Z|([+-])(${CLOCK}))$`);
export const cellAt = (day, type, channel) => (day * TYPES.length + type) * CHANNELS.length + channel;
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

/** A function from an instant to what calendar and clock of a zone show: the day, and the hour of 24. */
function clockOf(zone) {
  must(typeof zone === "string" && /^[A-Za-z]/.test(zone), "bad-zone"); // an offset is no zone
  const parts = { year: "numeric", month: "2-digit", day: "2-digit", hour: "2-digit", hourCycle: "h23" };
  const options = { timeZone: zone, calendar: "gregory", numberingSystem: "latn", ...parts };
  const formatter = attempt(() => new Intl.DateTimeFormat("en", options), "bad-zone");
  return (at) => {
    const shown = Object.fromEntries(formatter.formatToParts(at).map(({ type, value }) => [type, value]));
    return { day: calendarDay(`${shown.year}-${shown.month}-${shown.day}`), hour: Number(shown.hour) };
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

/** What is known besides events; what is not is null. */
function readContext(context, today) {
  must(isObjectOf([...DATES, ...NUMBERS], context), "bad-context");
  const [observed, account, goal] = DATES.map((key) =>
    (context[key] ?? null) === null ? null : today - inYears(context[key], "bad-context"));
  must(observed === null || observed >= 0, "not-observed");
  const numbers = Object.fromEntries(NUMBERS.map((key) => [key, context[key] ?? null]));
  for (const [key, value] of Object.entries(numbers)) {
    const isShare = key === "progress", low = key === "goal_total_days" ? 1 : 0;
    const isGood = isShare ? typeof value === "number" : Number.isInteger(value);
    must(value === null || (isGood && value >= low && value <= (isShare ? 1 : LARGEST)), "bad-context");
  }
  const ahead = (age) => (age < 0 ? null : age); // a date ahead has not happened
  const days = observed === null ? null : Math.min(observed + 1, WINDOW);
  return { days_observed: days, account_age_days: ahead(account), goal_age_days: ahead(goal), ...numbers };
}

/** What calendar and clock show at an instant of a local day (days since 1970-01-01, a Thursday). */
function readCalendar({ day, hour }) {
  const date = new Date(day * DAY), newYear = Date.UTC(date.getUTCFullYear(), 0, 1) / DAY;
  const parts = { day_of_month: date.getUTCDate(), day_of_year: day - newYear + 1 };
  return { weekday: (date.getUTCDay() + 6) % 7, hour_of_day: hour, ...parts };
}

/** The tensors: `daily`, flat in the order day, event type, channel; `context`. Both rounded to float32. */
export function dayInput({ as_of: asOf, zone, context: given, events }) {
  const clock = clockOf(zone), now = instant(asOf), today = clock(now);
  const known = { ...readContext(given, today.day), ...readCalendar(today) };
  const observed = known.days_observed ?? WINDOW;
  const daily = new Array(cellAt(WINDOW, 0, 0)).fill(0); // doubles, rounded once at the end
  let lastAct = -Infinity, morningActs = 0;
  for (const { at, type, count, value } of withoutDuplicates(events.map(readEvent))) {
    const local = clock(at), day = today.day - local.day; // below 0 where clocks went back over midnight
    if (at > now || day < 0 || day >= observed) continue;
    const added = value === null ? [count, 0, 0] : [count, 1, value];
    added.forEach((amount, channel) => { daily[cellAt(day, type, channel)] += amount; });
    if (count === 0 || TYPES[type] === "task_due") continue; // no act
    lastAct = Math.max(lastAct, at);
    if (local.hour < NOON) morningActs += count;
  }
  must([...daily, morningActs].every((cell) => Math.abs(cell) <= LARGEST_CELL), "too-many");
  known.hours_since_last_act = lastAct === -Infinity ? null : (now - lastAct) / HOUR;
  known.morning_acts = morningActs;
  const context = CONTEXT.map((name) => Math.fround(known[name] ?? UNKNOWN));
  return { daily: daily.map(Math.fround), context };
}

/** The cells that are not zero, as [day, event type, channel, value]. */
export const nonZeroCells = (daily) => daily.flatMap((value, index) =>
  value === 0 ? [] : [[Math.floor(index / 24), Math.floor(index / 3) % 8, index % 3, value]]);
