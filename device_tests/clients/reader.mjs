// A client of docs/protocol, version 1, written from its pages alone: node reader.mjs docs/protocol/vectors
// It computes the outcome of every vector from its input, and only then compares it with the expected one.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";
import {
  applyRules, compareGolden, describeFiles, entryForm, entryPath, namesOf, openBundle, PAYLOADS, readRecord,
  readRecording, readZip, undoCodec,
} from "./bundle.mjs";
import { describePatch, rebuild } from "./deltas.mjs";
import {
  armOf, base64, bucket, canonicalJson, digest, inRamp, installId, isHeldOut, isName, list, modelVersion,
  object, oneOf, readJson, Refusal, release, sha256, text, tufJson, unixTime,
} from "./documents.mjs";
import { openKeyBlob, verifyEnrolment } from "./device-keys.mjs";
import {
  appKeyId, associatedData, decryptStream, encryptStream, pieces, segmentList, unwrapKey,
} from "./encryption.mjs";
import { computeFeatures, computeFormulas } from "./features.mjs";
import { dayInput, nonZeroCells } from "./day-input.mjs";
import { decide, openEnvelope, refresh } from "./manifest.mjs";
import { countLatencies, readReport, sketchValues } from "./telemetry.mjs";

const PAGES = [
  "bundle", "day-input", "deltas", "device-keys", "encryption", "features", "identifiers", "manifest",
  "recorder", "rules", "telemetry",
];
const hex = (digits) => Buffer.from(digits, "hex");
const sameJson = (a, b) => canonicalJson(a) === canonicalJson(b);

// ---- Kinds of vectors: functions from an input to an output, which refuse or answer
const same = (form) => ({ value }) => {
  form(value);
  return { value };
};
const perInstall = (field, answer) => (x) =>
  ({ [field]: x.install_ids.map((install) => answer(x, install)) });

const pattern = (length) => Buffer.alloc(length, Buffer.from(Array.from({ length: 251 }, (_, i) => i)));
const EDITS = {
  cut: (bytes, { length, append }) => Buffer.concat([bytes.subarray(0, length), hex(append)]),
  flip: (bytes, { offset, mask }) => bytes.map((byte, index) => (index === offset ? byte ^ mask : byte)),
  swap: (bytes, { segments: [a, b] }) => Buffer.concat(pieces(bytes).map((_, index, all) =>
    all[index === a ? b : index === b ? a : index])),
};
function openStream(x) { // the vector describes its ciphertext: make it, then open it
  const [dataKey, salt, noncePrefix] = [x.data_key, x.salt, x.nonce_prefix].map(hex);
  const whole = encryptStream(pattern(x.plain_length), dataKey, x.bound_to, salt, noncePrefix);
  const bytes = x.edit === null ? whole : EDITS[x.edit.op](whole, x.edit);
  const base64Text = Buffer.from(bytes).toString("base64");
  const isStated = bytes.length === x.ciphertext_length && sha256(bytes) === x.ciphertext_sha256
    && (x.ciphertext ?? base64Text) === base64Text;
  if (!isStated) throw new Error("the ciphertext that was made is not the stated one"); // no refusal
  return { plain_sha256: sha256(decryptStream(bytes, hex(x.open_with.data_key), x.open_with.bound_to)) };
}
function listSegments({ length }) {
  const segments = segmentList(pattern(length));
  return { segments: segments.toString("base64"), segments_sha256: sha256(segments) };
}
function readEntry({ entry }) {
  entryForm(entry);
  return { path: entryPath(entry), canonical_bytes: Buffer.byteLength(canonicalJson(entry)) };
}
function describeRecord({ record }) {
  const { model, target, outputs } = readRecord(Buffer.from(record));
  return { model, payload: PAYLOADS[target], outputs: namesOf(outputs) };
}
function verifyEnvelope({ envelope, payload_type: payloadType, keys, threshold }) {
  const role = { keys: new Map(Object.entries(keys)), threshold };
  return { payload: openEnvelope(Buffer.from(envelope), payloadType, role).toString("base64") };
}
function openAppKey({ app_key: appKeyText, wrapped_key: wrappedKey, bound_to: boundTo }) {
  const appKey = base64(appKeyText);
  return { key_id: appKeyId(appKey), data_key: unwrapKey(appKey, wrappedKey, boundTo).toString("hex") };
}

const KINDS = {
  "identifiers/name": same(isName),
  "identifiers/model-version": same(modelVersion),
  "identifiers/release": same(release),
  "identifiers/sha256": same(digest),
  "identifiers/install-id": same(installId),
  "identifiers/time": ({ value }) => ({ unix: unixTime(value) }),
  "identifiers/bucket": perInstall("buckets", (x, install) => bucket(x.purpose, x.salt, install)),
  "identifiers/ramp": perInstall("in", inRamp),
  "identifiers/holdout": perInstall("in", isHeldOut),
  "identifiers/variant": perInstall("arms", (x, install) => armOf(x.experiment, x.weights_bp, install)),
  "manifest/canonical": ({ value }) => ({ canonical: tufJson(value).toString("base64") }),
  "manifest/envelope": verifyEnvelope,
  "manifest/update": refresh,
  "manifest/decision": perInstall("releases", decide),
  "bundle/zip": ({ zip }) => ({ files: describeFiles(readZip(base64(zip))) }),
  "bundle/codec": (x) => ({ sha256: sha256(undoCodec(x.codec, base64(x.data), x.plain_length)) }),
  "bundle/entry": readEntry,
  "bundle/record": describeRecord,
  "bundle/open": openBundle,
  "bundle/golden": compareGolden,
  "encryption/associated-data": (x) => ({ hex: associatedData(x).toString("hex") }),
  "encryption/segment-list": listSegments,
  "encryption/stream": openStream,
  "encryption/app-key": openAppKey,
  "encryption/open": openBundle,
  "deltas/patch": describePatch,
  "deltas/rebuild": rebuild,
  "rules/rules": applyRules,
  "device-keys/key-blob": openKeyBlob,
  "device-keys/enrolment": verifyEnrolment,
  "recorder/recording": readRecording,
  "features/formulas": computeFormulas,
  "telemetry/report": ({ report }) => readReport(Buffer.from(report)),
  "telemetry/sketch": sketchValues,
  "telemetry/latency": countLatencies,
};

// ---- Checking: these functions throw at what is wrong
const fail = (message) => { throw new Error(message); };

function outcomeOf(compute, input) {
  try {
    return { expect: "accept", output: compute(input) };
  } catch (error) {
    if (error instanceof Refusal) return { expect: "refuse", reason: error.message };
    throw error; // a bug of the reader, or a vector that is none
  }
}

function compare(actual, expected) {
  if (!sameJson(actual, expected)) fail(`${JSON.stringify(actual)} and not ${JSON.stringify(expected)}`);
}

function checkVector({ page, kind, input, expect, output, reason }, listed) {
  const compute = KINDS[`${page}/${kind}`] ?? fail(`no such kind: ${page}/${kind}`);
  const actual = outcomeOf(compute, input);
  compare(actual, expect === "accept" ? { expect, output } : { expect, reason });
  compare(listed, { page, kind, expect });
}

/** Cells and context are exact; features differ at most by a tolerance, relative above 1. */
function checkDayInput({ input, output, reason }, expect, spec, tolerance) {
  const actual = outcomeOf((x) => {
    const tensors = dayInput(x);
    return { ...tensors, features: computeFeatures(spec, tensors) };
  }, input);
  if (expect === "refuse" || actual.expect === "refuse") return compare(actual, { expect, reason });
  const { daily, context, features } = actual.output;
  const cells = output.cells.map(([day, type, channel, value]) => [day, type, channel, Math.fround(value)]);
  compare({ cells: nonZeroCells(daily), context }, { cells, context: output.context.map(Math.fround) });
  compare(features.length, output.features.length);
  const isClose = (value, index) =>
    Math.abs(features[index] - value) <= tolerance * Math.max(1, Math.abs(value));
  if (!output.features.every(isClose)) compare(features, output.features);
}

const SPEC = "day-input/feature_spec.json"; // data for vectors, and no vector itself
const INDEX_FORM = object({
  format: oneOf("coach-edge/vectors/1"),
  vectors: list(object({ file: text(1), kind: text(1), expect: oneOf("accept", "refuse") })),
});
const DAY_INPUT_FORM = object({
  format: oneOf("coach-edge/day-input-vectors/2"), vectors: list(object({ name: text(1) })),
});

/** The definitions of the features, and how far their values may differ. */
function readDefinitions(read) {
  const header = read("day-input/accept.json", DAY_INPUT_FORM), spec = read(SPEC);
  compare(sha256(canonicalJson(spec)), header.feature_spec_sha256);
  compare(namesOf(spec.features), header.feature_names);
  return { spec, tolerance: header.feature_tolerance };
}

/** Checks every vector of a folder: how many passed, and a line for everything that is wrong. */
function checkFolder(folder) {
  const failures = [], pages = new Set();
  let passed = 0, seen = 0;
  const succeeds = (name, action) => {
    try {
      action();
      return true;
    } catch (error) {
      failures.push(`${name}: ${error.message}`);
      return false;
    }
  };
  const checkOne = (name, page, action) => {
    seen += 1;
    pages.add(page);
    if (succeeds(name, action)) passed += 1;
  };
  const read = (file, form = object({})) => readJson(readFileSync(join(folder, file)), Infinity, form);
  const index = read("index.json", INDEX_FORM);
  for (const { file, kind, expect, vectors } of index.vectors) {
    const page = file.split("/")[0];
    if (kind === "day-input") {
      succeeds(file, () => {
        const { spec, tolerance } = readDefinitions(read), several = read(file, DAY_INPUT_FORM).vectors;
        compare(several.length, vectors);
        for (const vector of several) {
          checkOne(`${file} ${vector.name}`, page, () => checkDayInput(vector, expect, spec, tolerance));
        }
      });
    } else {
      checkOne(file, page, () => checkVector(read(file), { page, kind, expect }));
    }
  }
  const onDisk = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"));
  const listed = ["index.json", SPEC, ...index.vectors.map(({ file }) => file)];
  const unlisted = onDisk.filter((file) => !listed.includes(file));
  const stated = index.vectors.reduce((sum, { vectors = 1 }) => sum + vectors, 0);
  succeeds("unlisted files", () => compare(unlisted, []));
  succeeds("files", () => compare(onDisk.length, new Set(listed).size));
  succeeds("index.json repeats a file", () => compare(new Set(listed).size, listed.length));
  succeeds("pages with vectors", () => compare([...pages].sort(), PAGES));
  succeeds("vectors seen", () => compare(seen, stated));
  return { passed, failures };
}

if (process.argv.length !== 3) fail("usage: node reader.mjs docs/protocol/vectors");
const { passed, failures } = checkFolder(process.argv[2]);
failures.forEach((failure) => console.log(failure));
console.log(`${passed} passed, ${failures.length} failed`);
process.exitCode = failures.length === 0 ? 0 : 1;
