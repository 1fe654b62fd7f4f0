/** Something that happened, as JSON: docs/protocol/day-input.md says what each type means and which value it has. */
export interface Event {
  /** RFC 3339 with `Z` or an offset, such as `new Date().toISOString()`. */
  readonly timestamp: string;
  readonly event_type: EventType;
  /** How often, 1 if absent. */
  readonly count?: number | null;
  readonly value?: number | null;
  /** Whatever may be delivered twice needs an id: it counts once. */
  readonly event_id?: string | null;
  readonly goal_id?: string | null;
}

/** What is known besides events; absent or null is unknown. Dates are local, `YYYY-MM-DD`. */
export interface Context {
  readonly observed_since?: string | null;
  readonly account_since?: string | null;
  readonly goal_start?: string | null;
  readonly goal_total_days?: number | null;
  readonly goals_completed_before?: number | null;
  /** 0 to 1. */
  readonly progress?: number | null;
  readonly goals_active?: number | null;
  readonly goals_overdue?: number | null;
}

/** The two tensors: `daily` is flat in the order day, event type, channel; day 0 is the as-of day. */
export interface DayInput {
  readonly daily: Float32Array;
  readonly context: Float32Array;
}

/** The input breaks a rule of the day input; `reason` says which. */
export class DayInputError extends Error {
  readonly reason: Reason;

  constructor(reason: Reason) {
    super(`the day input is refused: ${reason}`);
    this.name = "DayInputError";
    this.reason = reason;
  }
}

function must(condition: boolean, reason: Reason): asserts condition {
  if (!condition) throw new DayInputError(reason);
}

// ---- Instants, dates and zones, all in milliseconds since 1970-01-01T00:00:00Z or in days

const HOUR = 3600000;
const DAY = 24 * HOUR;
const DATE = /^(\d{4})-(\d\d)-(\d\d)$/;
const CLOCK = "([01]\\d|2[0-3]):([0-5]\\d)";
const TIMESTAMP = new RegExp(`^(\\d{4}-\\d\\d-\\d\\d)T${CLOCK}:([0-5]\\d)(?:\\.(\\d{1,9}))?(?:Z|([+-])${CLOCK})$`);

/** Days from 1970-01-01 to a calendar date. */
function calendarDay(date: unknown, reason: Reason): number {
  const match = typeof date === "string" ? DATE.exec(date) : null;
  must(match !== null, reason);
  const [year, month, day] = match.slice(1).map(Number) as [number, number, number];
  const midnight = new Date(Date.UTC(year, month - 1, day));
  must(midnight.getUTCMonth() === month - 1 && midnight.getUTCDate() === day, reason); // no 30 February
  must(year >= FIRST_YEAR && year <= LAST_YEAR, reason);
  return midnight.getTime() / DAY;
}

function instantOf(timestamp: unknown): number {
  const match = typeof timestamp === "string" ? TIMESTAMP.exec(timestamp) : null;
  must(match !== null, "bad-timestamp");
  const [, date, hour, minute, second, fraction = "", sign, aheadHours = 0, aheadMinutes = 0] = match;
  const ahead = (Number(aheadHours) * 60 + Number(aheadMinutes)) * 60000 * (sign === "-" ? -1 : 1);
  const milliseconds = Number(`${fraction}000`.slice(0, 3)); // finer digits are dropped
  const clock = ((Number(hour) * 60 + Number(minute)) * 60 + Number(second)) * 1000 + milliseconds;
  return calendarDay(date, "bad-timestamp") * DAY + clock - ahead;
}

/** What the clocks of one zone show: instants are shifted by the zone's offset. */
class Zone {
  private static readonly known = new Map<string, Zone>();
  private readonly formatter: Intl.DateTimeFormat;
  /** The offset at the start of a UTC day: it is asked for once, and not once an event. */
  private readonly offsets = new Map<number, number>();

  private constructor(name: string) {
    const numeric = "numeric";
    this.formatter = new Intl.DateTimeFormat("en-US", {
      timeZone: name, calendar: "gregory", numberingSystem: "latn", hourCycle: "h23", year: numeric, month: numeric,
      day: numeric, hour: numeric, minute: numeric, second: numeric,
    });
  }

  static named(name: unknown): Zone {
    must(typeof name === "string" && /^[A-Za-z]/.test(name), "bad-zone"); // an offset is no zone
    const found = Zone.known.get(name);
    if (found !== undefined) return found;
    let zone: Zone;
    try {
      zone = new Zone(name);
    } catch {
      throw new DayInputError("bad-zone");
    }
    Zone.known.set(name, zone);
    return zone;
  }

  /** Local milliseconds since 1970-01-01T00:00:00 of the local calendar. */
  local(instant: number): number {
    const before = Math.floor(instant / DAY);
    const offset = this.atMidnight(before);
    return instant + (offset === this.atMidnight(before + 1) ? offset : this.ask(instant)); // no change that day
  }

  private atMidnight(day: number): number {
    let offset = this.offsets.get(day);
    if (offset === undefined) {
      if (this.offsets.size > 4 * WINDOW_DAYS) this.offsets.clear(); // a process may live for years
      this.offsets.set(day, (offset = this.ask(day * DAY)));
    }
    return offset;
  }

  private ask(instant: number): number {
    const second = Math.floor(instant / 1000) * 1000;
    const shown = new Map(this.formatter.formatToParts(second).map(({ type, value }) => [type, Number(value)]));
    const part = (name: Intl.DateTimeFormatPartTypes): number => shown.get(name) ?? NaN;
    const day = Date.UTC(part("year"), part("month") - 1, part("day"));
    return day + ((part("hour") % 24 * 60 + part("minute")) * 60 + part("second")) * 1000 - second;
  }
}

// ---- Reading: JSON has fewer types than this file, so every field is looked at

interface ReadEvent {
  readonly instant: number;
  readonly type: number;
  readonly count: number;
  readonly value: number | null;
  readonly goal: string | null;
}

function hasOnly(value: unknown, keys: readonly string[]): value is Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.keys(value).every((key) => keys.includes(key));
}

function isNumber(value: unknown, low: number, high: number): value is number {
  return typeof value === "number" && value >= low && value <= high; // NaN is neither
}

function isWhole(value: unknown, low: number): value is number {
  return isNumber(value, low, MAX_COUNT) && Number.isInteger(value);
}

function isName(value: unknown): value is string | null {
  return value === null || (typeof value === "string" && value !== "");
}

const EVENT_KEYS = ["timestamp", "event_type", "count", "value", "event_id", "goal_id"] as const;

function readEvent(event: unknown): { read: ReadEvent; id: string | null } {
  must(hasOnly(event, EVENT_KEYS) && "timestamp" in event && "event_type" in event, "bad-event");
  const { timestamp, event_type: name } = event;
  const count = event["count"] ?? 1, value = event["value"] ?? null; // null is the same as absent
  const id = event["event_id"] ?? null, goal = event["goal_id"] ?? null;
  must(isName(id) && isName(goal), "bad-event");
  const type = (EVENT_TYPES as readonly unknown[]).indexOf(name);
  must(type >= 0, "unknown-event-type");
  must(isWhole(count, 0), "bad-count");
  must(value === null || isNumber(value, -MAX_VALUE, MAX_VALUE), "bad-value");
  return { read: { instant: instantOf(timestamp), type, count, value, goal }, id };
}

/** Events without an id always add up; one id is one event, and must say the same thing every time. */
function readEvents(events: readonly unknown[]): ReadEvent[] {
  const byId = new Map<string, ReadEvent>();
  const read: ReadEvent[] = [];
  for (const item of events) {
    const { read: event, id } = readEvent(item);
    const twin = id === null ? undefined : byId.get(id);
    if (twin === undefined) {
      if (id !== null) byId.set(id, event);
      read.push(event);
    } else {
      const isSame = twin.instant === event.instant && twin.type === event.type && twin.count === event.count
        && twin.value === event.value && twin.goal === event.goal;
      must(isSame, "event-id-conflict");
    }
  }
  return read;
}

const CONTEXT_KEYS = [
  "observed_since", "account_since", "goal_start", "goal_total_days", "goals_completed_before", "progress",
  "goals_active", "goals_overdue",
] as const;

type Entries = Record<ContextEntry, number | null>;
type ClockEntry = "weekday" | "hour_of_day" | "day_of_month" | "day_of_year";
type EventEntry = "hours_since_last_act" | "morning_acts";

function readContext(context: unknown, today: number): Omit<Entries, ClockEntry | EventEntry> {
  must(hasOnly(context, CONTEXT_KEYS), "bad-context");
  const daysSince = (key: string): number | null =>
    (context[key] ?? null) === null ? null : today - calendarDay(context[key], "bad-context");
  const age = (key: string): number | null => {
    const days = daysSince(key);
    return days === null || days < 0 ? null : days; // a date ahead has not happened
  };
  const whole = (key: string, low: number): number | null => {
    const value = context[key] ?? null;
    must(value === null || isWhole(value, low), "bad-context");
    return value;
  };
  const observed = daysSince("observed_since"), progress = context["progress"] ?? null;
  must(progress === null || isNumber(progress, 0, 1), "bad-context");
  const entries = {
    days_observed: observed === null ? null : Math.min(observed + 1, WINDOW_DAYS),
    account_age_days: age("account_since"),
    goal_age_days: age("goal_start"),
    goal_total_days: whole("goal_total_days", 1),
    goals_completed_before: whole("goals_completed_before", 0),
    progress,
    goals_active: whole("goals_active", 0),
    goals_overdue: whole("goals_overdue", 0),
  };
  must(observed === null || observed >= 0, "not-observed");
  return entries;
}

/** What calendar and clock show at a local time. */
function readClock(local: number): Pick<Entries, ClockEntry> {
  const shown = new Date(local); // local milliseconds read as if they were UTC
  return {
    weekday: (shown.getUTCDay() + 6) % 7, // 0 is Monday
    hour_of_day: shown.getUTCHours(),
    day_of_month: shown.getUTCDate(),
    day_of_year: Math.floor(local / DAY) - Date.UTC(shown.getUTCFullYear(), 0) / DAY + 1,
  };
}

const TASK_DUE = EVENT_TYPES.indexOf("task_due");
const [COUNT, VALUES, SUM] = [CHANNELS.indexOf("count"), CHANNELS.indexOf("values"), CHANNELS.indexOf("sum")];
const cellOf = (day: number, type: number): number => (day * EVENT_TYPES.length + type) * CHANNELS.length;

/**
 * What the events of one user come to at an instant.
 *
 * @param events in any order; what happened after `asOf` does not count.
 * @param asOf RFC 3339.
 * @param zone the user's IANA zone, such as `Intl.DateTimeFormat().resolvedOptions().timeZone`.
 * @throws DayInputError where the input breaks a rule.
 */
export function dayInput(events: readonly Event[], asOf: string, zone: string, context: Context = {}): DayInput {
  const where = Zone.named(zone), now = instantOf(asOf), clock = where.local(now);
  const today = Math.floor(clock / DAY), known = readContext(context, today);
  const observed = known.days_observed ?? WINDOW_DAYS;
  const daily = new Float64Array(cellOf(WINDOW_DAYS, 0)); // doubles, rounded once at the end
  let lastAct: number | null = null, morningActs = 0;
  for (const { instant, type, count, value } of readEvents(events)) {
    if (instant > now || instant < now - (WINDOW_DAYS + 3) * DAY) continue; // so old that no zone needs to be asked
    const local = where.local(instant);
    const day = today - Math.floor(local / DAY); // below 0 where clocks went back over midnight: yet to come
    if (day < 0 || day >= observed) continue;
    const add = (channel: number, amount: number): void => {
      const cell = cellOf(day, type) + channel;
      daily[cell] = (daily[cell] ?? 0) + amount;
    };
    add(COUNT, count);
    if (value !== null) {
      add(VALUES, 1);
      add(SUM, value);
    }
    if (type === TASK_DUE || count === 0) continue;
    lastAct = Math.max(lastAct ?? instant, instant);
    if (local - Math.floor(local / DAY) * DAY < 12 * HOUR) morningActs += count;
  }
  must(daily.every((cell) => Math.abs(cell) <= MAX_CELL) && morningActs <= MAX_CELL, "too-many");
  const entries: Entries = {
    ...known,
    ...readClock(clock),
    hours_since_last_act: lastAct === null ? null : (now - lastAct) / HOUR,
    morning_acts: morningActs,
  };
  return {
    daily: Float32Array.from(daily),
    context: Float32Array.from(CONTEXT_ENTRIES, (entry) => entries[entry] ?? UNKNOWN),
  };
}

// ---- The evaluator: the steps of PROGRAM, in order, in double precision

/** A number, or one for each of the days. */
type Value = number | Float64Array;

const at = (value: Value, day: number): number => (typeof value === "number" ? value : value[day] ?? NaN);

const overDays = (of: (day: number) => number): Float64Array =>
  Float64Array.from({ length: WINDOW_DAYS }, (_, day) => of(day));

const ELEMENTWISE: Readonly<Record<Elementwise, (a: number, b: number, c: number) => number>> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => (b === 0 ? 0 : a / b),
  min: (a, b) => Math.min(a, b),
  max: (a, b) => Math.max(a, b),
  less: (a, b) => (a < b ? 1 : 0),
  where: (a, b, c) => (a !== 0 ? b : c),
  log1p: (a) => Math.log1p(Math.max(a, 0)),
  mod: (a, b) => (b === 0 ? 0 : a - b * Math.floor(a / b)),
  xlogx: (a) => (a > 0 ? a * Math.log(a) : 0),
};

/** The q-quantile of the values where the mask is not 0, by linear interpolation; 0 where there is none. */
function quantile(q: number, values: Value, mask: Value): number {
  const kept = overDays((day) => at(values, day)).filter((_, day) => at(mask, day) !== 0).sort();
  const position = q * (kept.length - 1), low = Math.floor(position);
  const below = kept[low] ?? 0, above = kept[low + 1] ?? below;
  return below + (above - below) * (position - low);
}

function step([op, ...numbers]: Step, values: readonly Value[], { daily, context }: DayInput): Value {
  const [x = 0, y = 0, z = 0] = numbers, value = (index: number): Value => values[index] ?? NaN;
  switch (op) {
    case "const": return x;
    case "context": return context[x] ?? NaN;
    case "day": return overDays((day) => day);
    case "decay": return overDays((day) => 0.5 ** (day / x));
    case "daily": return overDays((day) => EVENT_TYPES.reduce((sum, _, type) =>
      sum + (numbers[1 + type] ?? 0) * (daily[cellOf(day, type) + x] ?? NaN), 0));
    case "sum_days": return overDays((day) => at(value(x), day)).reduce((sum, of) => sum + of, 0);
    case "min_days": return Math.min(...overDays((day) => at(value(x), day)));
    case "quantile_days": return quantile(x, value(y), value(z));
  }
  const compute = ELEMENTWISE[op], of = numbers.map(value), [a = NaN, b = NaN, c = NaN] = of;
  if (of.every((operand) => typeof operand === "number")) return compute(at(a, 0), at(b, 0), at(c, 0));
  return overDays((day) => compute(at(a, day), at(b, day), at(c, day)));
}

/** The features in the order in which a model takes them, as float32. */
export function featureVector(input: DayInput): Float32Array {
  const values: Value[] = [];
  for (const line of PROGRAM) values.push(step(line, values, input));
  return Float32Array.from(OUTPUTS, (index) => at(values[index] ?? NaN, 0));
}

/** The features by name. */
export function features(input: DayInput): Record<FeatureName, number> {
  const vector = featureVector(input);
  return Object.fromEntries(FEATURE_NAMES.map((name, index) => [name, vector[index]])) as Record<FeatureName, number>;
}
