// A small reader of snapshots, written from docs/reference/snapshot-format.md and row-format.md alone: it shares no code with the
// project, so that the pages are known to be enough. `node test/golden/read-snapshot.mjs <folder>` prints what the snapshot holds.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { crc32, zstdDecompressSync } from "node:zlib";

function check(condition, problem) {
  if (!condition) throw new Error(problem);
}

const crc32cTable = Array.from({ length: 256 }, (_, n) => {
  let c = n;
  for (let bit = 0; bit < 8; bit++) c = c & 1 ? (c >>> 1) ^ 0x82f63b78 : c >>> 1;
  return c >>> 0;
});
export function crc32c(bytes) {
  let c = 0xffffffff;
  for (const byte of bytes) c = crc32cTable[(c ^ byte) & 255] ^ (c >>> 8);
  return (c ^ 0xffffffff) >>> 0;
}

export function murmur3(bytes) {
  const mix = (k) => Math.imul(rotl(Math.imul(k, 0xcc9e2d51), 15), 0x1b873593);
  const rotl = (x, r) => (x << r) | (x >>> (32 - r));
  let h = 0;
  const tail = bytes.length & ~3;
  for (let i = 0; i < tail; i += 4) h = (Math.imul(rotl(h ^ mix(bytes.readInt32LE(i)), 13), 5) + 0xe6546b64) | 0;
  let k = 0;
  for (let i = bytes.length - 1; i >= tail; i--) k = (k << 8) | bytes[i];
  if (bytes.length > tail) h ^= mix(k);
  h ^= bytes.length;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}

class Cursor {
  constructor(bytes) {
    this.bytes = bytes;
    this.at = 0;
  }
  take(count) {
    check(this.at + count <= this.bytes.length, "the bytes end too early");
    this.at += count;
    return this.bytes.subarray(this.at - count, this.at);
  }
  u8() {
    return this.take(1)[0];
  }
  u32() {
    return this.take(4).readUInt32LE();
  }
  f64() {
    return this.take(8).readDoubleLE();
  }
  i64() {
    return this.take(8).readBigInt64LE();
  }
  bigUvarint() {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.u8();
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  }
  uvarint() {
    return Number(this.bigUvarint());
  }
  varint() {
    const zigzag = this.bigUvarint();
    return zigzag & 1n ? -(zigzag + 1n) / 2n : zigzag / 2n;
  }
  blob() {
    return this.take(this.uvarint());
  }
  string() {
    return this.blob().toString("utf8");
  }
  get done() {
    return this.at === this.bytes.length;
  }
}

// Values are given in the JSON form of row-format.md.
const integer = (value) => (value >= -(2n ** 53n) + 1n && value <= 2n ** 53n - 1n ? Number(value) : String(value));
function decimalText(unscaled, scale) {
  const digits = String(unscaled < 0n ? -unscaled : unscaled).padStart(scale + 1, "0");
  const text = scale === 0 ? digits : `${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
  return unscaled < 0n ? `-${text}` : text;
}
const dayText = (days) => new Date(days * 86_400_000).toISOString().slice(0, 10);

function readRow(cursor, fields) {
  const bitCount = fields.reduce((sum, [, field]) => sum + (field.nullable ? 1 : 0) + (field.optional ? 1 : 0), 0);
  const bitmap = cursor.take(Math.ceil(bitCount / 8));
  let bit = 0;
  const nextBit = () => (bitmap[bit >> 3] >> (bit++ & 7)) & 1;
  const marks = fields.map(([, field]) => ({ isNull: field.nullable && nextBit() === 1, isMissing: field.optional && nextBit() === 1 }));
  const row = {};
  fields.forEach(([name, field], i) => {
    if (marks[i].isNull) row[name] = null;
    else if (!marks[i].isMissing) row[name] = readValue(cursor, field.type);
  });
  return row;
}

function readElement(cursor, field) {
  const mark = field.nullable || field.optional ? cursor.u8() : 0;
  check(mark <= 2, "an element has an unknown mark");
  return mark === 0 ? readValue(cursor, field.type) : null;
}

function readValue(cursor, type) {
  switch (type.kind) {
    case "boolean":
      return cursor.u8() === 1;
    case "int8":
    case "int16":
    case "int32":
    case "int64":
      return integer(cursor.varint());
    case "timestamp":
      check(type.text === "number", "this reader shows instants as numbers");
      return integer(cursor.varint());
    case "date":
      return dayText(Number(cursor.varint()));
    case "float32":
      return cursor.take(4).readFloatLE();
    case "float64":
      return cursor.f64();
    case "decimal":
      return decimalText(cursor.varint(), type.scale);
    case "string":
      return cursor.string();
    case "enum":
      return type.values[cursor.uvarint()];
    case "bytes":
      return cursor.blob().toString("base64");
    case "list":
      return Array.from({ length: cursor.uvarint() }, () => readElement(cursor, type.of));
    case "map":
      return Object.fromEntries(Array.from({ length: cursor.uvarint() }, () => [cursor.string(), readElement(cursor, type.of)]));
    case "struct": {
      const fields = Object.entries(type.fields);
      if (fields.length > 0) return readRow(cursor, fields);
      check(cursor.u8() === 0, "a struct without fields is one byte 0");
      return {};
    }
    case "any":
      return readMsgpack(new Cursor(cursor.blob()));
    default:
      throw new Error(`the type ${type.kind} is unknown`);
  }
}

function readMsgpack(cursor) {
  const sized = (count, read) => Array.from({ length: count }, read);
  const object = (count) => Object.fromEntries(sized(count, () => [readMsgpack(cursor), readMsgpack(cursor)]));
  const tag = cursor.u8();
  if (tag < 0x80) return tag;
  if (tag < 0x90) return object(tag & 15);
  if (tag < 0xa0) return sized(tag & 15, () => readMsgpack(cursor));
  if (tag < 0xc0) return cursor.take(tag & 31).toString("utf8");
  if (tag >= 0xe0) return tag - 256;
  switch (tag) {
    case 0xc0:
      return null;
    case 0xc2:
      return false;
    case 0xc3:
      return true;
    case 0xcb:
      return cursor.take(8).readDoubleBE();
    case 0xcc:
      return cursor.u8();
    case 0xcd:
      return cursor.take(2).readUInt16BE();
    case 0xce:
      return cursor.take(4).readUInt32BE();
    case 0xd0:
      return cursor.take(1).readInt8();
    case 0xd1:
      return cursor.take(2).readInt16BE();
    case 0xd2:
      return cursor.take(4).readInt32BE();
    case 0xd9:
      return cursor.take(cursor.u8()).toString("utf8");
    default:
      throw new Error(`this reader does not show values of msgpack's type ${tag}`);
  }
}

function readKey(bytes, spec) {
  const cursor = new Cursor(bytes);
  const row = {};
  for (const name of spec.keyOrder) {
    const { type, nullable, optional } = spec.key[name];
    if (spec.keyForm === "text") row[name] = cursor.take(bytes.length).toString("utf8");
    else if (spec.keyForm === "bytes" && (nullable || optional)) {
      const mark = cursor.u8();
      if (mark === 0) row[name] = readKeyField(cursor, type);
      else if (mark === 1) row[name] = null;
    } else row[name] = readKeyField(cursor, type);
  }
  check(cursor.done, "bytes follow a key");
  return row;
}

function readKeyField(cursor, { kind }) {
  if (kind === "boolean") return cursor.u8() === 1;
  if (kind === "float32" || kind === "float64") return cursor.f64();
  if (kind === "string" || kind === "enum" || kind === "decimal") return cursor.string();
  if (kind === "bytes") return cursor.blob().toString("base64");
  const value = cursor.i64();
  return kind === "date" ? dayText(Number(value)) : integer(value);
}

function readManifest(folder) {
  const content = readFileSync(join(folder, "manifest.json"));
  const body = content.subarray(0, content.length - 88);
  const digest = createHash("sha256").update(body).digest("hex");
  check(content.toString("utf8", content.length - 88) === `,\n"checksum":"sha256:${digest}"}\n`, "the manifest's checksum does not match");
  const manifest = JSON.parse(content.toString("utf8"));
  check(manifest.format === "millrace-snapshot" && manifest.formatVersion === 1, "this is no snapshot of format version 1");
  return manifest;
}

function readDataFile(folder, { path, sizeBytes, sha256 }) {
  const bytes = readFileSync(join(folder, path));
  check(bytes.length === sizeBytes, `${path} has another size`);
  check(createHash("sha256").update(bytes).digest("hex") === sha256, `${path} has another checksum`);
  const trailer = bytes.subarray(bytes.length - 32);
  check(trailer.toString("latin1", 24) === "MLRDATA1" && trailer.readUInt32LE(16) === 1, `${path} is no data file of version 1`);
  check(trailer.readUInt32LE(20) === crc32c(trailer.subarray(0, 20)), `${path} has a damaged trailer`);
  const offset = Number(trailer.readBigUInt64LE(0));
  const index = bytes.subarray(offset, offset + trailer.readUInt32LE(8));
  check(offset + index.length === bytes.length - 32 && crc32c(index) === trailer.readUInt32LE(12), `${path} has a damaged index`);
  return { bytes, sections: readIndex(new Cursor(index)) };
}

function readIndex(cursor) {
  const sections = Array.from({ length: cursor.uvarint() }, () => {
    const uid = cursor.string();
    const part = ["changes", "base"][cursor.u8()];
    const tables = Array.from({ length: cursor.uvarint() }, () => ({ name: cursor.string(), specId: cursor.string() }));
    const blocks = Array.from({ length: cursor.uvarint() }, () => ({
      table: tables[cursor.uvarint()],
      keyGroup: cursor.uvarint(),
      entryCount: cursor.uvarint(),
      offset: cursor.uvarint(),
      storedBytes: cursor.uvarint(),
      rawBytes: cursor.uvarint(),
      compression: ["none", "zstd"][cursor.u8()],
      crc32c: cursor.u32(),
    }));
    return { uid, part, blocks };
  });
  check(cursor.done, "bytes follow the index");
  return sections;
}

function readRange(bytes, { offset, storedBytes, rawBytes, compression, crc32c: expected }) {
  const stored = bytes.subarray(offset, offset + storedBytes);
  check(stored.length === storedBytes && crc32c(stored) === expected, "the checksum of a block does not match");
  const raw = compression === "zstd" ? zstdDecompressSync(stored) : stored;
  check(raw.length === rawBytes, "a block has another length");
  return raw;
}

function applyBlock(state, uid, raw, { keyGroup, entryCount, table }, spec, maxParallelism) {
  const cursor = new Cursor(raw);
  check(cursor.u8() === 1, "a block has another version");
  check(cursor.u32() === crc32(raw.subarray(5)), "a block's own checksum does not match");
  cursor.f64();
  for (let i = 0; i < entryCount; i++) {
    const control = cursor.u8();
    check(control < 32, "an entry has unknown bits");
    const namespace = (control & 2 ? cursor.uvarint() : 0) * (control & 4 ? -1 : 1);
    const keyBytes = spec.keyForm === "integer" ? cursor.take(8) : cursor.blob();
    check(murmur3(keyBytes) % maxParallelism === keyGroup, "an entry is in the wrong key group");
    let subKey = null;
    if (spec.subKey === "number") subKey = cursor.uvarint() * (control & 8 ? -1 : 1);
    else if (spec.subKey === "string") subKey = cursor.string();
    if (control & 16) cursor.f64();
    const identity = JSON.stringify([uid, table.name, namespace, keyBytes.toString("hex"), subKey]);
    if (control & 1) {
      state.delete(identity);
      continue;
    }
    const row = readRow(
      cursor,
      spec.valueOrder.map((name) => [name, spec.value[name]]),
    );
    const value = spec.form === "timers" ? null : row;
    state.set(identity, { uid, table: table.name, key: readKey(keyBytes, spec), namespace, subKey, value });
  }
  check(cursor.done, "bytes follow the entries of a block");
}

/** Everything that the snapshot in `folder` holds. */
export function readSnapshot(folder) {
  const manifest = readManifest(folder);
  const files = manifest.files.map((file) => readDataFile(folder, file));
  const payload = (one) => (one.inline === undefined ? readRange(files[one.file].bytes, one) : Buffer.from(one.inline, "base64"));
  const state = new Map();
  const lists = [];
  const sinks = [];
  for (const [uid, operator] of Object.entries(manifest.operators)) {
    const specs = new Map(operator.tables.map(({ id, spec }) => [id, spec]));
    const order = (part) => (part.kind === "base" ? 0 : 1);
    for (const part of [...operator.state].sort((a, b) => order(a) - order(b) || a.checkpointId - b.checkpointId)) {
      const { bytes, sections } = files[part.file];
      const section = sections.find((one) => one.uid === uid && one.part === part.part);
      for (const block of section.blocks) {
        if (block.keyGroup < part.from || block.keyGroup >= part.to) continue;
        applyBlock(state, uid, readRange(bytes, block), block, specs.get(block.table.specId), manifest.maxParallelism);
      }
    }
    for (const { name, redistribution, parts } of operator.lists) {
      for (const { subtask, entryCount, payload: place } of parts) {
        const cursor = new Cursor(payload(place));
        check(cursor.uvarint() === entryCount, "a list has another number of entries");
        for (let i = 0; i < entryCount; i++)
          lists.push({ uid, name, redistribution, subtask, key: cursor.string(), value: cursor.blob().toString("hex") });
        check(cursor.done, "bytes follow a list");
      }
    }
    for (const { subtask, payload: place } of operator.sink ?? []) sinks.push({ uid, subtask, value: payload(place).toString("utf8") });
  }
  return { manifest, entries: [...state.values()], lists, sinks };
}

if (process.argv[1] !== undefined && import.meta.url === pathToFileURL(process.argv[1]).href) {
  const { entries, lists, sinks } = readSnapshot(process.argv[2]);
  for (const entry of [...entries, ...lists, ...sinks]) process.stdout.write(`${JSON.stringify(entry)}\n`);
}
