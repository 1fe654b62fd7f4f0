// docs/protocol/manifest.md: envelopes, roots, manifest and directives, the decision of a device.
import { createPublicKey, verify } from "node:crypto";
import {
  all, armOf, ascendingBy, base64, byCodePoint, canonicalJson, digest, distinct, distinctBy, fits, inRamp,
  integer, isHeldOut, isName, list, mapping, matching, must, NAME, object, oneOf, readJson, release, sha256,
  share, text, tufJson, unixTime, when,
} from "./documents.mjs";
import { entryForm, entryPath } from "./bundle.mjs";

const signatureForm = object({ keyid: text(), sig: text() });

/** How many distinct public keys made a good signature; whatever does not verify counts for nothing. */
function countKeys(message, signatures, keys) {
  const good = new Set();
  for (const { id, signature } of signatures) {
    const publicKey = keys.get(id)?.toLowerCase() ?? "";
    if (!/^[0-9a-f]{64}$/.test(publicKey)) continue;
    const jwk = { kty: "OKP", crv: "Ed25519", x: Buffer.from(publicKey, "hex").toString("base64url") };
    if (verify(null, message, createPublicKey({ key: jwk, format: "jwk" }), signature)) good.add(publicKey);
  }
  return good.size;
}

// ---- Envelope
const envelopeForm = object({ payloadType: text(), payload: text(), signatures: list(signatureForm, 0, 16) });

/** The payload of an envelope that enough of the keys (a Map from key id to hex) signed. */
export function openEnvelope(bytes, payloadType, { keys, threshold }) {
  const envelope = readJson(bytes, 8000000, envelopeForm);
  must(envelope.payloadType === payloadType);
  const payload = base64(envelope.payload);
  const signatures = envelope.signatures.map(({ keyid, sig }) => ({ id: keyid, signature: base64(sig) }));
  const head = Buffer.from(`DSSEv1 ${Buffer.byteLength(payloadType)} ${payloadType} ${payload.length} `);
  must(countKeys(Buffer.concat([head, payload]), signatures, keys) >= threshold, "signature");
  return payload;
}

// ---- Root
const roleForm = object({ keyids: list(text()), threshold: integer(1) });
const keyForm = object({ keytype: text(), scheme: text(), keyval: object({ public: text() }) });
const usableForm = object({
  keytype: oneOf("ed25519"), scheme: oneOf("ed25519"),
  keyval: object({ public: matching("[0-9A-Fa-f]{64}") }),
});
const rootForm = object({
  signatures: all(list(signatureForm), distinctBy("keyid")),
  signed: object({
    _type: oneOf("root"), spec_version: matching("1\\.[^]*"), version: integer(1), expires: unixTime,
    keys: mapping(text(), keyForm), roles: object({ root: roleForm, targets: roleForm }),
  }),
});

function readRole({ keyids, threshold }, known) {
  object(Object.fromEntries(keyids.map((id) => [id, usableForm])))(known);
  distinct(keyids.map((id) => known[id].keyval.public.toLowerCase()));
  return { keys: new Map(keyids.map((id) => [id, known[id].keyval.public])), threshold };
}

function readRoot(source) {
  const { signatures, signed } = readJson(Buffer.from(source), 512000, rootForm);
  const decode = (sig) => Buffer.from(/^[0-9a-f]{128}$/i.test(sig) ? sig : "", "hex");
  return {
    version: signed.version, expires: unixTime(signed.expires), message: tufJson(signed),
    signatures: signatures.map(({ keyid, sig }) => ({ id: keyid, signature: decode(sig) })),
    root: readRole(signed.roles.root, signed.keys), targets: readRole(signed.roles.targets, signed.keys),
  };
}

function followRoots(pinned, later, now) {
  let root = readRoot(pinned);
  for (const source of later.slice(0, 256)) {
    const next = readRoot(source);
    for (const { keys, threshold } of [root.root, next.root]) {
      must(countKeys(next.message, next.signatures, keys) >= threshold, "signature");
    }
    must(next.version === root.version + 1, "mismatch");
    root = next; // whether expired or not: only the last one must not be
  }
  must(root.expires > now, "expired");
  return root;
}

// ---- Documents
const dated = (format, fields) => all(
  object({ format: oneOf(format), version: integer(1), issued: unixTime, expires: unixTime, ...fields }),
  when(({ issued, expires }) => issued < expires)); // these texts sort like times
const artifactForm = all( // another one is left out: later versions may know more codecs or tiers
  object({ path: text(), length: integer(1), sha256: digest, entry: entryForm }),
  when(({ path, entry }) => path === entryPath(entry)));
const manifestForm = dated("coach-edge/manifest/1", {
  director: object({ key_id: text(1), public_key: digest }),
  floors: mapping(matching(`${NAME}/${NAME}`), release),
  artifacts: all(list(object({ path: text() })),
    (artifacts) => ascendingBy(byCodePoint)(artifacts.map(({ path }) => path))),
});
const variantsForm = object({
  experiment: isName,
  arms: all(list(object({ name: isName, weight_bp: share, release }), 1),
    when((arms) => arms.reduce((sum, arm) => sum + arm.weight_bp, 0) <= 10000)),
});
const directiveForm = all(
  object({
    release, ramp_bp: share, base_release: integer(0), paused: oneOf(true, false), holdout_bp: share,
    recalled: all(list(release), ascendingBy((a, b) => a - b)), min_runtime: integer(1),
    variants: (value) => value === null || variantsForm(value),
  }),
  when((directive) => directive.base_release < directive.release));
const directivesForm = dated("coach-edge/directives/1", {
  manifest: object({ version: integer(1), sha256: digest }),
  channels: mapping(isName, mapping(isName, directiveForm)),
});

// ---- Refresh
export function refresh(x) {
  const now = unixTime(x.now), root = followRoots(x.pinned_root, x.roots, now);
  const open = (what, role, limit, form, isSameSigner) => {
    const payload = openEnvelope(Buffer.from(x[what]), `application/vnd.coach-edge.${what}.v1+json`, role);
    const document = readJson(payload, limit, form);
    must(!isSameSigner || document.version >= x.marks[what], "rollback"); // new keys may begin anew
    must(Math.max(unixTime(document.issued), unixTime(x.marks.time)) <= now + 300, "clock");
    must(unixTime(document.expires) > now, "expired");
    return document;
  };
  const targetsKeys = [...root.targets.keys.keys()].sort(byCodePoint);
  const areSameKeys = canonicalJson(targetsKeys) === canonicalJson(x.marks.targets_keys);
  const manifest = open("manifest", root.targets, 4000000, manifestForm, areSameKeys);
  const { key_id: directorId, public_key: director } = manifest.director;
  const directorRole = { keys: new Map([[directorId, director]]), threshold: 1 };
  const directives = open("directives", directorRole, 1000000, directivesForm, director === x.marks.director);
  must(directives.manifest.version === manifest.version, "mismatch");
  must(directives.manifest.sha256 === sha256(x.manifest), "mismatch");
  const time = [x.marks.time, manifest.issued, directives.issued].sort().at(-1);
  return {
    root_version: root.version, manifest_version: manifest.version, directives_version: directives.version,
    paths: manifest.artifacts.filter((each) => fits(artifactForm, each)).map(({ path }) => path),
    floors: manifest.floors,
    marks: {
      manifest: manifest.version, targets_keys: targetsKeys, directives: directives.version, director, time,
    },
  };
}

// ---- Decision
/** The release that an install is to have, or null: leave things as they are. */
export function decide(x, install) {
  const { directive } = x, subject = { ...directive, model: x.model, channel: x.channel };
  if (directive === null || directive.min_runtime > x.level || directive.paused) return null;
  if (isHeldOut(subject, install)) return null;
  const { experiment, arms } = directive.variants ?? { experiment: "", arms: [] };
  const arm = armOf(experiment, arms.map((each) => each.weight_bp), install);
  const rolledOut = inRamp(subject, install) ? directive.release : directive.base_release;
  const wanted = arm === null ? rolledOut : arms[arm].release;
  if (wanted === 0 || directive.recalled.includes(wanted)) return null;
  return wanted >= Math.max(x.floor, x.installed) && x.signed_releases.includes(wanted) ? wanted : null;
}
