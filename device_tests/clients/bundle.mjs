// docs/protocol/bundle.md, rules.md and recorder.md: from served bytes to a bundle that proved itself.
import { crc32, inflateRawSync } from "node:zlib"; // crc32: Node 20.15 or later
import {
  all, ascendingBy, attempt, base64, byCodePoint, canonicalJson, digest, distinct, distinctBy, integer,
  isName, isObject, list, mapping, matching, modelVersion, must, NAME, number, object, oneOf, readJson,
  release, sha256, text, when,
} from "./documents.mjs";
import { decryptStream, unwrapKey } from "./encryption.mjs";

const sameJson = (a, b) => canonicalJson(a) === canonicalJson(b);

// ---- Container
const hex = (digits) => Buffer.from(digits, "hex");
const little = (size, ...values) =>
  Buffer.concat(values.map((value) => hex(value.toString(16).padStart(2 * size, "0")).reverse()));

function writeZip(files) {
  const locals = [], directory = [];
  let offset = 0;
  for (const [name, data] of files) {
    const sizes = [little(4, crc32(data), data.length, data.length), little(2, name.length, 0)];
    const constant = hex("14000008000000002100"); // version, flags, method, time, date
    const common = Buffer.concat([constant, ...sizes]);
    locals.push(hex("504b0304"), common, Buffer.from(name), data);
    directory.push(hex("504b01021400"), common, little(2, 0, 0, 0), little(4, 0, offset), Buffer.from(name));
    offset += 30 + name.length + data.length;
  }
  const end = [little(2, files.size, files.size), little(4, Buffer.concat(directory).length, offset)];
  return Buffer.concat([...locals, ...directory, hex("504b050600000000"), ...end, little(2, 0)]);
}

const FILE_NAME = "(?!(?:.*/)?\\.{0,2}(?:/|$))[A-Za-z0-9._/-]{1,200}"; // no part is empty, . or ..

/** The files of a ZIP: who knows them can write it anew, and every other byte string is refused. */
export function readZip(bytes) {
  const files = new Map();
  attempt(() => { // reading beyond the end is a refusal
    let at = bytes.readUInt32LE(bytes.length - 6), end = 0; // offsets follow from the files before
    for (let left = bytes.readUInt16LE(bytes.length - 12); left > 0; left -= 1) {
      const nameLength = bytes.readUInt16LE(at + 28), start = end + 30 + nameLength;
      end = start + bytes.readUInt32LE(at + 24);
      files.set(bytes.toString("latin1", at + 46, at + 46 + nameLength), bytes.subarray(start, end));
      at += 46 + nameLength;
    }
  });
  const names = [...files.keys()], lower = names.map((name) => name.toLowerCase());
  all(list(matching(FILE_NAME), 1, 64), ascendingBy(byCodePoint))(names);
  distinct(lower);
  must(!lower.some((folder) => lower.some((name) => name.startsWith(`${folder}/`))));
  must(writeZip(files).equals(bytes));
  return files;
}

export const describeFiles = (files) => Object.fromEntries(
  [...files].map(([name, data]) => [name, { length: data.length, sha256: sha256(data) }]));

// ---- Codec
const codecForm = oneOf("none", "deflate");

export function undoCodec(codec, data, length) {
  codecForm(codec);
  must(codec === "deflate" ? length <= 100 * data.length : length === data.length);
  if (codec === "none") return data;
  const options = { info: true, maxOutputLength: length + 1 };
  const { buffer, engine } = attempt(() => inflateRawSync(data, options));
  must(buffer.length === length && engine.bytesWritten === data.length); // nothing stands behind the stream
  return buffer;
}

// ---- Entry
const stateForm = oneOf("none", "variables");

export const entryPath = (entry) =>
  `${entry.model}/${entry.channel}/${entry.release}/${entry.target}-${entry.recipe}.bundle`;

export const entryForm = all(
  object({
    model: isName, channel: isName, target: isName, recipe: isName, model_version: modelVersion, release,
    requires: matching(`${NAME}(?: ${NAME})*`), tier: oneOf("none", "app-key", "device-key"), key_id: text(),
    wrapped_key: text(), codec: codecForm, plain_length: integer(1), plain_sha256: digest,
    record_sha256: digest, segments_sha256: digest, state: stateForm,
  }),
  when((entry) => Object.values(entry).every((value) =>
    typeof value === "string" || Number.isSafeInteger(value))),
  when((entry) => (entry.key_id === "") === (entry.tier === "none")),
  when((entry) => (entry.wrapped_key !== "") === (entry.tier === "app-key")),
  when((entry) => Buffer.byteLength(canonicalJson(entry)) <= 1400),
);

// ---- Rules
function rulesForm(outputs, features) {
  const values = [
    ...outputs.map((name) => `output:${name}`),
    ...features.flatMap((name) => [`contribution:${name}`, `feature:${name}`]),
  ];
  const exactly = (fields) => all(object(fields), // a field more would change the sense of what is known
    when((value) => Object.keys(value).length === Object.keys(fields).length));
  const comparison = exactly({ value: oneOf(...values), op: oneOf("<", "<=", ">", ">="), than: number() });
  const rules = (condition) => all(
    list(exactly({ key: matching("[a-z][a-z0-9_]{0,62}"), when: list(condition, 1, 8) })), distinctBy("key"));
  return all(object({ format: oneOf("coach-edge/rules/1"), risk_factors: rules(comparison) }), (document) => {
    const reference = exactly({ risk_factor: oneOf(...document.risk_factors.map(({ key }) => key)) });
    const either = (condition) => ("risk_factor" in condition ? reference : comparison)(condition);
    object({ actions: rules(all(when(isObject), either)) })(document);
    must(document.risk_factors.length + document.actions.length <= 64);
  });
}

export function applyRules({ rules, outputs, contributions, features }) {
  rulesForm(Object.keys(outputs), Object.keys(features))(rules);
  const kinds = { output: outputs, contribution: contributions, feature: features };
  const holds = {
    "<": (a, b) => a < b, "<=": (a, b) => a <= b, ">": (a, b) => a > b, ">=": (a, b) => a >= b,
  };
  const applying = (some, factors) => some.filter((rule) => rule.when.every((condition) => {
    if ("risk_factor" in condition) return factors.includes(condition.risk_factor);
    const [, kind, name] = /^([a-z]+):([^]*)$/.exec(condition.value);
    return holds[condition.op](kinds[kind][name], condition.than);
  })).map(({ key }) => key);
  const factors = applying(rules.risk_factors, []);
  return { risk_factors: factors, actions: applying(rules.actions, factors) };
}

// ---- Record
export const PAYLOADS = { tflite: "model.tflite", onnx: "model.onnx", coreml: "model.mlpackage" };
export const namesOf = (things) => things.map(({ name }) => name);

const tensorForm = object({
  name: text(1), dtype: oneOf("float32", "int32", "int8", "uint8", "bool"), unit: text(),
  shape: list(all(integer(-1), when((size) => size !== 0))), per_feature: oneOf(true, false),
});
const featureForm = all(
  object({ name: text(), unit: text(), low: number(), high: number(), default: number() }),
  when((feature) => feature.low <= feature.default && feature.default <= feature.high));
const duration = all(number(0), when((milliseconds) => milliseconds > 0));
const recordForm = all(
  object({
    format: oneOf("coach-edge/record/1"), model: isName, model_version: modelVersion, recipe: isName,
    target: oneOf(...Object.keys(PAYLOADS)), state: stateForm,
    files: mapping(when((name) => name !== "bundle.json"), object({ length: integer(0), sha256: digest })),
    inputs: all(list(tensorForm, 1), distinctBy("name")),
    outputs: all(list(tensorForm, 1), distinctBy("name")),
    features: all(list(featureForm), distinctBy("name")), feature_spec_sha256: text(),
    tolerances: mapping(text(), object({ absolute: number(0, 1), relative: number(0, 1) })),
    budgets: object({
      bundle_bytes: integer(1), load_ms: duration, p99_ms: duration, session_bytes: integer(1),
    }),
    fallback: mapping(text(), number()),
  }),
  ({ features, feature_spec_sha256: spec }) => (features.length > 0 ? digest : oneOf(""))(spec),
  when(({ outputs, tolerances }) => sameJson(Object.keys(tolerances).sort(), namesOf(outputs).sort())),
  when(({ outputs, fallback }) => Object.keys(fallback).every((name) => namesOf(outputs).includes(name))),
  (record) => object({ rules: rulesForm(namesOf(record.outputs), namesOf(record.features)) })(record),
);

export const readRecord = (bytes) => readJson(bytes, 1000000, recordForm);

// ---- Opening
function checkFiles(files, record) {
  const { "bundle.json": itself, ...others } = describeFiles(files);
  const listed = Object.entries(record.files).map(([name, file]) =>
    [name, { length: file.length, sha256: file.sha256 }]); // without fields that we do not know
  must(sameJson(Object.fromEntries(listed), others));
  const names = Object.keys(others), payload = PAYLOADS[record.target], spec = others["feature_spec.json"];
  const isFolder = record.target === "coreml";
  const isPayload = (name) => (isFolder ? name.startsWith(`${payload}/`) : name === payload);
  const hasFeatures = record.features.length > 0;
  must(names.some(isPayload) && names.includes("golden/cases.json"));
  must(hasFeatures ? spec?.sha256 === record.feature_spec_sha256 : spec === undefined);
  must(names.every((name) => isPayload(name) || name.startsWith("golden/") || name === "feature_spec.json"));
}

/** The files of a bundle whose entry and digest come from a verified manifest. */
/** The key that a bundle is encrypted with; null where it is not. */
export function dataKeyOf(entry, appKey) {
  if (entry.tier === "none") return null;
  must(entry.tier === "app-key" && appKey !== undefined, "key");
  return unwrapKey(base64(appKey), entry.wrapped_key, entry);
}

/** From served bytes to the plain ones. */
export function openPlain(bytes, signedDigest, entry, appKey) {
  must(sha256(bytes) === signedDigest, "digest"); // before any key is touched
  entryForm(entry);
  const dataKey = dataKeyOf(entry, appKey);
  const coded = dataKey === null ? bytes : decryptStream(bytes, dataKey, entry);
  const plain = undoCodec(entry.codec, coded, entry.plain_length);
  must(sha256(plain) === entry.plain_sha256, "digest");
  return plain;
}

export function openBundle({ served, sha256: signedDigest, entry, app_key: appKey }) {
  const files = readZip(openPlain(base64(served), signedDigest, entry, appKey));
  must(files.has("bundle.json"));
  const record = readRecord(files.get("bundle.json"));
  checkFiles(files, record);
  must(sha256(files.get("bundle.json")) === entry.record_sha256, "digest");
  const shared = ["model", "model_version", "target", "recipe", "state"];
  must(shared.every((field) => record[field] === entry[field]), "mismatch");
  return { files: describeFiles(files) };
}

// ---- Golden cases
/** Nested lists as shape and values, these rounded to float32. */
export function readTensor(value) {
  if (!Array.isArray(value)) {
    all(number(), when((each) => Number.isFinite(Math.fround(each))))(value);
    return { shape: "", values: [Math.fround(value)] };
  }
  const parts = value.map(readTensor);
  must(parts.every(({ shape }) => shape === parts[0].shape));
  return { shape: `${parts.length},${parts[0]?.shape ?? ""}`, values: parts.flatMap(({ values }) => values) };
}

export const tensorsForm = all(
  mapping(text(), readTensor), when((tensors) => Object.keys(tensors).length > 0));
const goldenForm = object({
  format: oneOf("coach-edge/golden/1"),
  cases: all(list(object({ id: text(), inputs: tensorsForm, outputs: tensorsForm }), 1), distinctBy("id")),
});

function compareTensors(expected, actual, { absolute, relative }) {
  must(actual.shape === expected.shape && actual.values.length > 0, "tolerance");
  const isClose = (value, index) =>
    Math.abs(actual.values[index] - value) <= absolute + relative * Math.abs(value);
  must(expected.values.every(isClose), "tolerance");
}

export function compareGolden({ golden, tolerances, answers }) {
  let comparisons = 0;
  for (const { id, outputs } of readJson(Buffer.from(golden), 4000000, goldenForm).cases) {
    const answer = answers.find((each) => each.id === id)?.outputs ?? {};
    must(sameJson(Object.keys(outputs).sort(), Object.keys(tolerances).sort()));
    for (const [name, expected] of Object.entries(outputs)) {
      must(Object.hasOwn(answer, name), "tolerance");
      const actual = attempt(() => readTensor(answer[name]), "tolerance");
      compareTensors(readTensor(expected), actual, tolerances[name]);
      comparisons += 1;
    }
  }
  return { comparisons };
}

// ---- recorder.md
const label = text(1, 200);
const answerForm = object({ outputs: tensorsForm, latency_ms: list(number(0), 1, 10000) });
const errorForm = all(
  object({ error: label }), when((each) => !("outputs" in each) && !("latency_ms" in each)));
const caseForm = all(object({ id: text() }), (each) => ("error" in each ? errorForm : answerForm)(each));
const recordingForm = object({
  format: oneOf("coach-edge/recording/1"),
  device: object({ name: label, platform: label, os_version: label, runtime: label, runtime_version: label }),
  artifact: object({
    model: isName, model_version: modelVersion, target: isName, recipe: isName, sha256: digest,
  }),
  cases: all(list(caseForm, 1, 10000), distinctBy("id")),
});

export function readRecording({ recording, golden_ids: goldenIds }) {
  const { cases } = readJson(Buffer.from(recording), 16000000, recordingForm);
  must(sameJson(cases.map(({ id }) => id).sort(), [...goldenIds].sort()), "mismatch");
  const tensors = cases.flatMap(({ outputs }) => Object.values(outputs ?? {}).map(readTensor));
  const values = tensors.reduce((sum, tensor) => sum + tensor.values.length, 0);
  return { cases: cases.length, errors: cases.filter((each) => "error" in each).length, values };
}
