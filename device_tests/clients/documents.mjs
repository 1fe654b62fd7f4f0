// docs/protocol/README.md and identifiers.md: refusals, forms, JSON, names, times, buckets.
import { createHash } from "node:crypto";

export class Refusal extends Error {}

/** Only what this throws is a refusal: any other exception is a bug of the reader. */
export const must = (condition, reason = "format") => {
  if (!condition) throw new Refusal(reason);
};
/** Libraries refuse in their own words. */
export const attempt = (action, reason = "format") => {
  try {
    return action();
  } catch {
    throw new Refusal(reason);
  }
};

// Forms: functions that refuse a value which is not of the form.
export const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
export const all = (...forms) => (value) => forms.forEach((form) => form(value));
export const when = (test) => (value) => must(test(value));
export const oneOf = (...values) => when((value) => values.includes(value));
export const matching = (pattern) =>
  when((value) => typeof value === "string" && new RegExp(`^(?:${pattern})$`).test(value));
export const number = (low = -Infinity, high = Infinity) =>
  when((value) => typeof value === "number" && value >= low && value <= high);
export const integer = (low, high) => all(number(low, high), when(Number.isSafeInteger));
export const text = (least = 0, most = Infinity) => // counted in code points, not in UTF-16 units
  when((value) => typeof value === "string" && [...value].length >= least && [...value].length <= most);
export const list = (item, least = 0, most = Infinity) => all(
  when((value) => Array.isArray(value) && value.length >= least && value.length <= most),
  (value) => value.forEach((element) => item(element)));
export const mapping = (name, item) => all(when(isObject), (value) =>
  Object.entries(value).forEach(([key, element]) => { name(key); item(element); }));
export const object = (fields) => all(when(isObject), (value) => // fields that are not listed are ignored
  Object.entries(fields).forEach(([name, form]) => { must(Object.hasOwn(value, name)); form(value[name]); }));
export const distinct = when((values) => new Set(values).size === values.length);
export const distinctBy = (field) => (objects) => distinct(objects.map((each) => each[field]));
export const byCodePoint = (a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)); // UTF-8 sorts like them
export const ascendingBy = (order) => when((values) =>
  values.every((value, index) => index === 0 || order(values[index - 1], value) < 0));
/** Whether a value is of a form, where to be of another is no reason to refuse. */
export function fits(form, value) {
  try {
    form(value);
    return true;
  } catch (error) {
    if (error instanceof Refusal) return false;
    throw error;
  }
}

/** A JSON document, read strictly: JSON.parse forgives repeated names, half characters and 1e999. */
export function readJson(bytes, limit, form) {
  must(bytes.length <= limit);
  const source = attempt(() => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  const document = attempt(() => JSON.parse(source, (name, value) => {
    must(name.isWellFormed() && (typeof value !== "string" || value.isWellFormed()));
    must(typeof value !== "number" || Number.isFinite(value));
    return value;
  }));
  const open = []; // the names seen so far in each object or list that is open
  for (const [token, , name] of source.matchAll(/("[^"\\]*(?:\\.[^"\\]*)*")(?=\s*(:?))|[{}[\]]/g)) {
    if (token === "{" || token === "[") must(open.push(new Set()) <= 32);
    else if (token === "}" || token === "]") open.pop();
    else if (name) { must(!open.at(-1).has(JSON.parse(token))); open.at(-1).add(JSON.parse(token)); }
  }
  all(when(isObject), form)(document);
  return document;
}

/** The bytes of standard, padded base64, which must be their only spelling. */
export function base64(value, reason = "format") {
  const bytes = Buffer.from(value, "base64"); // skips what it does not know: hence the way back
  must(bytes.toString("base64") === value, reason);
  return bytes;
}

function serialize(value, scalar, order) {
  if (Array.isArray(value)) return `[${value.map((item) => serialize(item, scalar, order)).join()}]`;
  if (!isObject(value)) return scalar(value);
  const field = (name) => `${scalar(name)}:${serialize(value[name], scalar, order)}`;
  return `{${Object.keys(value).sort(order).map(field).join()}}`;
}
/** RFC 8785, whose numbers, strings and order are those of ECMAScript. */
export const canonicalJson = (value) => serialize(value, JSON.stringify);
/** TUF's canonical JSON, as bytes: two escapes, integers only, names by code points. */
export const tufJson = (value) => Buffer.from(serialize(value, (scalar) => {
  must(typeof scalar !== "number" || Number.isSafeInteger(scalar));
  return typeof scalar === "string" ? `"${scalar.replace(/["\\]/g, "\\$&")}"` : String(scalar);
}, byCodePoint));

export const DAY = 86400000; // milliseconds between midnights in UTC, where every day has 24 hours
export const CLOCK = "(?:[01]\\d|2[0-3]):[0-5]\\d";
/** Days from 1970-01-01 to a date, which must exist. */
export function calendarDay(date, reason = "format") {
  must(typeof date === "string" && /^\d{4}-\d\d-\d\d$/.test(date), reason);
  const midnight = new Date(`${date}T00:00:00Z`); // some libraries make 2 March of 30 February
  must(!Number.isNaN(midnight.getTime()) && midnight.toISOString().startsWith(date), reason);
  return midnight.getTime() / DAY;
}

// ---- identifiers.md
const N = "(?:0|[1-9][0-9]*)", P = `(?:${N}|[0-9]*[A-Za-z-][0-9A-Za-z-]*)`, B = "[0-9A-Za-z-]+";
export const NAME = "[a-z0-9][a-z0-9-]{0,62}";
export const isName = matching(NAME);
export const modelVersion = matching(`${N}\\.${N}\\.${N}(?:-${P}(?:\\.${P})*)?(?:\\+${B}(?:\\.${B})*)?`);
export const release = integer(1);
export const share = integer(0, 10000);
export const digest = matching("[0-9a-f]{64}");
export const installId = matching("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}");
export const sha256 = (data, encoding = "hex") => createHash("sha256").update(data).digest(encoding);

/** Seconds since 1970-01-01T00:00:00Z. */
export function unixTime(value) {
  matching(`\\d{4}-\\d\\d-\\d\\dT${CLOCK}:[0-5]\\dZ`)(value);
  must(value >= "0001"); // there is no year 0000
  return (calendarDay(value.slice(0, 10)) * DAY + Date.parse(`1970-01-01${value.slice(10)}`)) / 1000;
}

export function bucket(purpose, salt, install) {
  installId(install);
  return sha256(`${purpose}\0${salt}\0${install}`, null).readUInt32BE(0) % 10000;
}
export const inRamp = (x, install) =>
  bucket("ramp", `${x.model}/${x.channel}/${x.release}`, install) < x.ramp_bp;
export const isHeldOut = (x, install) => bucket("holdout", x.channel, install) < x.holdout_bp;
/** The index of the arm of an install, or null. */
export function armOf(experiment, weights, install) {
  let left = bucket("variant", experiment, install);
  const index = weights.findIndex((weight) => (left -= weight) < 0);
  return index === -1 ? null : index;
}
