// docs/protocol/device-keys.md: key blobs (HPKE, RFC 9180) and proofs of possession.
import { createECDH, createHmac, createPublicKey, verify } from "node:crypto";
import {
  attempt, base64, digest, must, object, oneOf, readJson, sha256, text, unixTime,
} from "./documents.mjs";
import { gcmOpen, lengthPrefixed } from "./encryption.mjs";
import { openEnvelope } from "./manifest.mjs";

const TYPE = "application/vnd.coach-edge.key.v1+json", SKEW = 300;
const POINT = 65, SEALED = POINT + 32 + 16, NONCE = 16; // bytes

/** The other form of a point, the compressed one, would be a second name for the same key. */
function thumbprint(point) {
  must(point.length === POINT && point[0] === 4);
  return sha256(point);
}

// ---- HPKE base mode, DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM
const KEM = Buffer.from("KEM\x00\x10"), HPKE = Buffer.from("HPKE\x00\x10\x00\x01\x00\x02");
const NOTHING = Buffer.alloc(0), VERSION = Buffer.from("HPKE-v1");
const hmac = (key, ...parts) => createHmac("sha256", key).update(Buffer.concat(parts)).digest();
const extract = (suite, salt, label, input) => hmac(salt, VERSION, suite, Buffer.from(label), input);
const expand = (suite, secret, label, info, length) => // one block of HKDF-Expand is enough
  hmac(secret, Buffer.of(0, length), VERSION, suite, Buffer.from(label), info, Buffer.of(1))
    .subarray(0, length);

function openSealed(privateKey, sealed, info) {
  const encapsulated = sealed.subarray(0, POINT), device = createECDH("prime256v1");
  device.setPrivateKey(privateKey);
  const shared = attempt(() => device.computeSecret(encapsulated), "key"); // a point off the curve throws
  const secret = expand(KEM, extract(KEM, NOTHING, "eae_prk", shared), "shared_secret",
    Buffer.concat([encapsulated, device.getPublicKey()]), 32);
  const context = Buffer.concat([Buffer.of(0), extract(HPKE, NOTHING, "psk_id_hash", NOTHING),
    extract(HPKE, NOTHING, "info_hash", info)]);
  const schedule = extract(HPKE, secret, "secret", NOTHING);
  const nonce = expand(HPKE, schedule, "base_nonce", context, 12); // of sequence number 0
  return gcmOpen(expand(HPKE, schedule, "key", context, 32), nonce, sealed.subarray(POINT));
}

// ---- Key blob
const blobForm = object({
  format: oneOf("coach-edge/key-blob/1"), bundle: digest, device: digest, issued: unixTime, expires: unixTime,
  sealed: text(),
});

/** The data key that is lent to a device for a bundle. */
export function openKeyBlob({ envelope, director, device, bundle, now }) {
  must(Buffer.byteLength(envelope) <= 10000);
  const role = { keys: new Map([[director.keyid, director.public]]), threshold: 1 };
  const blob = readJson(openEnvelope(Buffer.from(envelope), TYPE, role), 2000, blobForm);
  const sealed = base64(blob.sealed), issued = unixTime(blob.issued), expires = unixTime(blob.expires);
  must(sealed.length === SEALED && issued < expires);
  must(blob.device === thumbprint(Buffer.from(device.public, "hex")) && blob.bundle === bundle, "mismatch");
  must(issued <= unixTime(now) + SKEW, "clock");
  must(expires > unixTime(now), "expired");
  const info = lengthPrefixed("coach-edge/device-key/1", blob.bundle, blob.device, blob.issued, blob.expires);
  const dataKey = openSealed(Buffer.from(device.private, "hex"), sealed, info);
  return { info: info.toString("hex"), data_key: dataKey.toString("hex") };
}

// ---- Enrolment
/** What a device signs, once a server has seen that it did. */
export function verifyEnrolment({ origin, public_key: publicKey, credential, issued, nonce, signature }) {
  const point = base64(publicKey), name = thumbprint(point), random = base64(nonce);
  must(random.length === NONCE);
  unixTime(issued);
  const [x, y] = [point.subarray(1, 33), point.subarray(33)].map((half) => half.toString("base64url"));
  const key = attempt(() => createPublicKey({ format: "jwk", key: { kty: "EC", crv: "P-256", x, y } }));
  const statement = lengthPrefixed("coach-edge/enrolment/1", origin, name, sha256(credential), issued,
    random.toString("hex"));
  must(verify("sha256", statement, key, base64(signature)), "signature");
  return { thumbprint: name, statement: statement.toString("hex") };
}
