// docs/protocol/encryption.md: associated data, wrapped keys, Tink's streaming format.
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { attempt, base64, must, sha256 } from "./documents.mjs";

export const SEGMENT = 1048576; // bytes of ciphertext
const TAG = 16, HEADER = 40;

const u32be = (value) => Buffer.from(value.toString(16).padStart(8, "0"), "hex");

export const lengthPrefixed = (...fields) => Buffer.concat(fields.flatMap((field) => {
  const bytes = Buffer.from(field, "utf8");
  return [u32be(bytes.length), bytes];
}));

/** What binds keys and ciphertext to an artifact. */
export const associatedData = ({ model, model_version: version, target, recipe, key_id: keyId }) =>
  lengthPrefixed("coach-edge/bundle/1", model, version, target, recipe, keyId);

/** What AES-256-GCM sealed, the tag at its end. */
export function gcmOpen(key, nonce, sealed, data = Buffer.alloc(0)) {
  must(sealed.length >= TAG, "key");
  const cipher = createDecipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG });
  cipher.setAAD(data).setAuthTag(sealed.subarray(-TAG));
  return attempt(() => Buffer.concat([cipher.update(sealed.subarray(0, -TAG)), cipher.final()]), "key");
}

function gcmSeal(key, nonce, plain) {
  const cipher = createCipheriv("aes-256-gcm", key, nonce, { authTagLength: TAG });
  return Buffer.concat([cipher.update(plain), cipher.final(), cipher.getAuthTag()]);
}

export const appKeyId = (appKey) =>
  `app-${sha256(Buffer.concat([Buffer.from("coach-edge/app-key-id/1\0"), appKey])).slice(0, 16)}`;

/** The data key in an entry, for who has the app key. */
export function unwrapKey(appKey, wrappedKey, boundTo) {
  const wrapped = base64(wrappedKey, "key");
  must(boundTo.key_id === appKeyId(appKey) && wrapped.length === 60, "key");
  return gcmOpen(appKey, wrapped.subarray(0, 12), wrapped.subarray(12), associatedData(boundTo));
}

/**
 * Applies AES-GCM to pieces of the bytes, each of `size`, where the header takes its room from the first.
 * `boundTo` is an entry, or the associated data itself.
 */
function eachSegment(header, dataKey, boundTo, bytes, size, apply) {
  const salt = header.subarray(1, 33), noncePrefix = header.subarray(33);
  const info = Buffer.isBuffer(boundTo) ? boundTo : associatedData(boundTo);
  const key = Buffer.from(hkdfSync("sha256", dataKey, salt, info, 32));
  const pieces = [];
  for (let start = -HEADER; pieces.length === 0 || start < bytes.length; start += size) {
    const isLast = start + size >= bytes.length;
    const nonce = Buffer.concat([noncePrefix, u32be(pieces.length), Buffer.of(isLast ? 1 : 0)]);
    pieces.push(apply(key, nonce, bytes.subarray(Math.max(start, 0), start + size)));
  }
  return Buffer.concat(pieces);
}

/** Nothing leaves before the last tag is verified: a cut-off model must not run. */
export function decryptStream(bytes, dataKey, boundTo) {
  must(bytes.length >= HEADER + TAG && bytes[0] === HEADER, "key");
  must(bytes.length <= SEGMENT || bytes.length % SEGMENT !== TAG, "key"); // an empty segment more
  return eachSegment(bytes.subarray(0, HEADER), dataKey, boundTo, bytes.subarray(HEADER), SEGMENT, gcmOpen);
}

/** What a server does; here it makes the ciphertexts that the vectors describe. */
export function encryptStream(plain, dataKey, boundTo, salt, noncePrefix) {
  const header = Buffer.concat([Buffer.of(HEADER), salt, noncePrefix]);
  return Buffer.concat([header, eachSegment(header, dataKey, boundTo, plain, SEGMENT - TAG, gcmSeal)]);
}

export const pieces = (bytes) => Array.from({ length: Math.ceil(bytes.length / SEGMENT) }, (_, index) =>
  bytes.subarray(index * SEGMENT, (index + 1) * SEGMENT));

/** The digests by which a client checks a download piece by piece. */
export const segmentList = (served) => Buffer.concat(pieces(served).map((piece) => sha256(piece, null)));
