// docs/protocol/deltas.md: the served bytes of a bundle from those of another and a delta.
import { inflateRawSync } from "node:zlib";
import { attempt, base64, must, sha256 } from "./documents.mjs";
import { dataKeyOf, openPlain } from "./bundle.mjs";
import { decryptStream, encryptStream, lengthPrefixed } from "./encryption.mjs";

const MAGIC = Buffer.from("coach-edge/delta/1\0");
const LARGEST = 1048576, MOST = 65536;
const COPY = 0, ADD = 255, WORDS = [1, 2, 4];

/** A patch up to its operations. */
function readPatch(bytes) {
  const start = MAGIC.length + 9;
  must(bytes.length >= start && bytes.subarray(0, MAGIC.length).equals(MAGIC));
  const stop = start + bytes[start - 1];
  must(bytes.length >= stop);
  return {
    baseLength: bytes.readUInt32BE(MAGIC.length), length: bytes.readUInt32BE(MAGIC.length + 4),
    header: bytes.subarray(start, stop), stream: bytes.subarray(stop),
  };
}

/** All operations; a client with little memory would inflate them one by one. */
function inflate(stream, length) {
  const limit = length + 9 * MOST; // what operations of this result can have in all
  const { buffer, engine } = attempt(() => inflateRawSync(stream, { info: true, maxOutputLength: limit }));
  must(engine.bytesWritten === stream.length); // nothing stands behind the stream
  return buffer;
}

/** Old words and coded differences, which stand in planes: first the lowest byte of each word. */
function undoDifference(old, planes, word) {
  const made = Buffer.alloc(old.length), count = old.length / word, modulus = 2 ** (8 * word);
  for (let index = 0; index < count; index += 1) {
    let coded = 0;
    for (let byte = word - 1; byte >= 0; byte -= 1) coded = coded * 256 + planes[byte * count + index];
    const change = coded % 2 === 0 ? coded / 2 : -(coded + 1) / 2;
    const value = old.readUIntLE(index * word, word) + change;
    made.writeUIntLE((value + modulus) % modulus, index * word, word);
  }
  return made;
}

function applyPatch({ baseLength, length, stream }, base) {
  must(base.length === baseLength);
  const body = inflate(stream, length), parts = [];
  let at = 0, made = 0;
  const take = (size) => {
    must(at + size <= body.length);
    at += size;
    return body.subarray(at - size, at);
  };
  while (made < length) {
    const code = take(1)[0], size = take(4).readUInt32BE();
    const start = code === ADD ? 0 : take(4).readUInt32BE();
    must(size > 0 && made + size <= length && parts.length < MOST);
    must(code === COPY || code === ADD || (WORDS.includes(code) && size % code === 0));
    must(code === ADD || start + size <= base.length);
    must(code === COPY || size <= LARGEST);
    const old = base.subarray(start, start + size);
    parts.push(code === COPY ? old : code === ADD ? take(size) : undoDifference(old, take(size), code));
    made += size;
  }
  must(at === body.length);
  return Buffer.concat(parts);
}

/** What a patch makes, for whoever has no entries to check it with. */
export function describePatch({ base, patch }) {
  const read = readPatch(base64(patch)), made = applyPatch(read, base64(base));
  return { header: read.header.toString("hex"), length: made.length, sha256: sha256(made) };
}

/** The served bytes of `wanted`, which are the signed ones or none. */
export function rebuild({ base, wanted, delta, app_key: appKey }) {
  const { entry } = wanted, dataKey = dataKeyOf(entry, appKey);
  const bound = lengthPrefixed("coach-edge/delta/1", base.sha256, wanted.sha256);
  const patch = readPatch(dataKey === null ? base64(delta) : decryptStream(base64(delta), dataKey, bound));
  must(patch.baseLength === base.entry.plain_length && patch.length === entry.plain_length, "mismatch");
  must(patch.header.length === (dataKey === null ? 0 : 40), "mismatch");
  const plain = applyPatch(patch, openPlain(base64(base.served), base.sha256, base.entry, appKey));
  must(sha256(plain) === entry.plain_sha256, "digest"); // nothing else may be encrypted under this salt
  const salt = patch.header.subarray(1, 33), noncePrefix = patch.header.subarray(33);
  const served = dataKey === null ? plain : encryptStream(plain, dataKey, entry, salt, noncePrefix);
  must(sha256(served) === wanted.sha256, "digest");
  return { sha256: sha256(served) };
}
