// Short figures of the formats, one core, from memory: node test/bench/serde.ts [--records 400000]
import { parseArgs } from "node:util";
import { ByteReader, ByteWriter } from "../../runtime/src/base/bytes.ts";
import { Rows } from "../../runtime/src/core/batch/batch.ts";
import type { RawRecords } from "../../runtime/src/core/batch/raw-records.ts";
import { rowCodec } from "../../runtime/src/core/codec/row-codec.ts";
import type { Format } from "../../runtime/src/core/ports/format.ts";
import { float64, int64, string, timestamp } from "../../runtime/src/core/schema/field.ts";
import { type Schema, schema } from "../../runtime/src/core/schema/schema.ts";
import { avro } from "../../runtime/src/serde/avro/avro.ts";
import { debezium } from "../../runtime/src/serde/debezium/debezium.ts";
import { json } from "../../runtime/src/serde/json/json.ts";
import { protobuf } from "../../runtime/src/serde/protobuf/protobuf.ts";
import { protoSchemaOf } from "../../runtime/src/serde/protobuf/proto-schema-of.ts";
import { generateBids } from "./bids.ts";
import { printTable, thousands } from "./table.ts";

const blockRecords = 4096;
const { values } = parseArgs({ options: { records: { type: "string", default: "400000" } } });
const perRun = Number(values.records);

const bid = schema({
  auction: int64(),
  bidder: int64(),
  price: int64(),
  channel: string(),
  url: string(),
  dateTime: timestamp(),
  extra: string(),
});
const used = schema({ auction: int64(), bidder: int64(), price: int64(), dateTime: timestamp() });

function blockOf(documents: readonly Uint8Array[]): RawRecords {
  const count = documents.length;
  const valueStart = new Int32Array(count);
  const valueEnd = new Int32Array(count);
  let at = 0;
  documents.forEach((document, index) => {
    valueStart[index] = at;
    at += document.length;
    valueEnd[index] = at;
  });
  return {
    splitId: "bench-0",
    count,
    // As in a fetched block, other bytes follow the last record.
    bytes: Buffer.concat([...documents, Buffer.alloc(4096)]),
    keyStart: new Int32Array(count).fill(-1),
    keyEnd: new Int32Array(count),
    valueStart,
    valueEnd,
    timestampMs: new Float64Array(count),
    position: new Float64Array(count),
  };
}

// Nanoseconds of CPU per record in the best of five runs, after the engine has had one to optimise.
function measure(recordsPerCall: number, call: () => void): number {
  const calls = Math.max(1, Math.round(perRun / recordsPerCall));
  let best = Infinity;
  for (let run = 0; run < 6; run++) {
    const before = process.cpuUsage();
    for (let i = 0; i < calls; i++) call();
    const { user, system } = process.cpuUsage(before);
    if (run > 0) best = Math.min(best, ((user + system) * 1000) / (calls * recordsPerCall));
  }
  return best;
}

async function decodeNanos(format: Format, documents: readonly Uint8Array[]): Promise<number> {
  const decoder = await format.openDecoder();
  decoder.want(format.schema.fields.slice(0, 3).map((field) => field.index));
  const records = blockOf(documents);
  const rows = new Rows(format.schema, blockRecords * 2);
  const selection = new Int32Array(blockRecords * 2);
  return measure(records.count, () => {
    const good = decoder.decode(records, rows, selection, (_index, code, reason) => {
      throw new Error(`${code}: ${reason}`);
    });
    if (good < records.count) throw new Error(`only ${good} of ${records.count} records were decoded`);
  });
}

async function encodeNanos(format: Format, rows: Rows): Promise<number> {
  const encoder = await format.openEncoder(rows.schema);
  const writer = new ByteWriter(1 << 21);
  return measure(rows.size, () => {
    writer.reset();
    for (let row = 0; row < rows.size; row++) encoder.encode(rows, row, writer);
  });
}

async function encodeAll(format: Format, rows: Rows): Promise<Buffer[]> {
  const encoder = await format.openEncoder(rows.schema);
  const writer = new ByteWriter();
  return Array.from({ length: rows.size }, (_, row) => {
    writer.reset();
    encoder.encode(rows, row, writer);
    return writer.copy();
  });
}

const { bytes, starts, ends } = generateBids({ count: blockRecords, auctions: 100_000, seed: 42 });
const documents = Array.from({ length: blockRecords }, (_, i) => bytes.subarray(starts[i], ends[i]));
const texts = documents.map((document) => document.toString());
const rowsOf = async (shape: Schema): Promise<Rows> => {
  const rows = new Rows(shape, blockRecords);
  (await json(shape).openDecoder()).decode(blockOf(documents), rows, new Int32Array(blockRecords), () => {});
  return rows;
};
const whole = await rowsOf(bid);
const numbers = await rowsOf(used);
const change = texts.map((text) =>
  Buffer.from(`{"before":null,"after":${text},"source":{"db":"shop","ts_ms":1700000000000},"op":"c","ts_ms":1700000000001}`),
);
const shuffled = texts.map((text, i) => {
  const entries = Object.entries(JSON.parse(text) as object);
  return Buffer.from(JSON.stringify(Object.fromEntries([...entries.slice(i % 7), ...entries.slice(0, i % 7)])));
});
const spaced = texts.map((text) => Buffer.from(text.replaceAll(',"', ', "').replaceAll('":', '": ')));
const escaped = texts.map((text) => Buffer.from(text.replace("https:", "é\\nhttps:")));
const proto = protoSchemaOf(bid);
const prices = new Rows(schema({ a: float64(), b: float64() }), blockRecords);
prices.size = blockRecords;
prices.ready.fill(1);
for (let row = 0; row < blockRecords; row++) {
  (prices.columns[0] as { numbers: Float64Array }).numbers[row] = (row * 137) / 100;
  (prices.columns[1] as { numbers: Float64Array }).numbers[row] = row / 3;
}

const codec = rowCodec(bid);
const stored = new ByteWriter(1 << 21);
for (let row = 0; row < blockRecords; row++) codec.encode(whole.columns, row, stored);
const scratch = new ByteWriter(1 << 21);
const target = new Rows(bid, blockRecords);

const figures: readonly (readonly [what: string, nanos: number])[] = [
  ["decode JSON bids, 7 fields", await decodeNanos(json(bid), documents)],
  ["decode JSON bids, 4 of 7 fields", await decodeNanos(json(used), documents)],
  ["  white space after , and :", await decodeNanos(json(bid), spaced)],
  ["  text with an escape and not ASCII", await decodeNanos(json(bid), escaped)],
  ["  seven orders of keys in turn", await decodeNanos(json(bid), shuffled)],
  ["  JSON.parse of the same records", measure(blockRecords, () => texts.forEach((text) => void JSON.parse(text)))],
  ["decode Debezium creates of bids", await decodeNanos(debezium(bid), change)],
  ["decode Avro bids", await decodeNanos(avro(bid), await encodeAll(avro(bid), whole))],
  ["decode Protobuf bids", await decodeNanos(protobuf(bid, { proto }), await encodeAll(protobuf(bid, { proto }), whole))],
  ["encode JSON, 4 integers", await encodeNanos(json(used), numbers)],
  ["encode JSON, 4 integers and 3 texts", await encodeNanos(json(bid), whole)],
  ["encode JSON, a price and a long double", await encodeNanos(json(prices.schema), prices)],
  ["encode Avro bids", await encodeNanos(avro(bid), whole)],
  ["encode Protobuf bids", await encodeNanos(protobuf(bid, { proto }), whole)],
  [
    "row codec: write bids",
    measure(blockRecords, () => {
      scratch.reset();
      for (let row = 0; row < blockRecords; row++) codec.encode(whole.columns, row, scratch);
    }),
  ],
  [
    "row codec: read bids, text as ranges",
    measure(blockRecords, () => {
      const reader = new ByteReader(stored.view());
      for (let row = 0; row < blockRecords; row++) codec.decodeRanges(reader, target.columns, row);
    }),
  ],
];

process.stdout.write(
  `serde: Nexmark-like bids, ${Math.round((ends[blockRecords - 1] as number) / blockRecords)} bytes as JSON, ${(stored.length / blockRecords).toFixed(0)} bytes as stored rows; Node ${process.version}\n\n`,
);
printTable(
  ["what", "ns of CPU per record", "records per CPU-second"],
  figures.map(([what, nanos]) => [what, nanos.toFixed(0), thousands(1e9 / nanos)]),
);
