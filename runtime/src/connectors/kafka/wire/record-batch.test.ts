// Record batches against an independent codec (the client library's), and against damage of every kind.
import { CompressionAlgorithms, createRecordsBatch, Reader, readRecordsBatches } from "@platformatic/kafka";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isMillraceError } from "../../../base/errors.ts";
import type { RecordHeaders } from "../../../core/batch/raw-records.ts";
import type { Compression } from "./compression.ts";
import { RecordBatchBuilder } from "./record-batch-builder.ts";
import { batchChecksum, batchField, restampBatch, writeInt64 } from "./record-batch-header.ts";
import { RecordBatchReader } from "./record-batch-reader.ts";
import { RecordBlock } from "./record-block.ts";

interface Plain {
  readonly offset: number;
  readonly timestampMs: number;
  readonly key: Buffer | null;
  readonly value: Buffer | null;
  readonly headers: readonly (readonly [string, Buffer | null])[];
}

const compressions = Object.values(CompressionAlgorithms) as readonly Compression[];
const bytes = (max: number): fc.Arbitrary<Buffer> => fc.uint8Array({ maxLength: max }).map((array) => Buffer.from(array));
const nullableBytes = (max: number): fc.Arbitrary<Buffer | null> => fc.option(bytes(max), { nil: null, freq: 4 });
const headers: fc.Arbitrary<Plain["headers"]> = fc.array(fc.tuple(fc.string({ unit: "binary", maxLength: 8 }), nullableBytes(6)), {
  maxLength: 3,
});
const record: fc.Arbitrary<RecordCase> = fc.record({
  timestampMs: fc.oneof(
    fc.integer({ min: 0, max: 2 ** 31 }),
    fc.integer({ min: 1_600_000_000_000, max: 1_900_000_000_000 }),
    fc.constant(-1),
  ),
  key: nullableBytes(40),
  value: nullableBytes(300),
  headers: fc.oneof({ weight: 3, arbitrary: fc.constant<Plain["headers"]>([]) }, { weight: 1, arbitrary: headers }),
});
type RecordCase = Omit<Plain, "offset">;
const records = fc.array(record, { minLength: 1, maxLength: 30 });
const stamp = { producerId: 7, producerEpoch: 3, baseSequence: 11, transactional: false };

function build(list: readonly RecordCase[], compression: Compression, baseOffset: number, how = stamp): Buffer {
  const builder = new RecordBatchBuilder(1 << 20, compression);
  for (const { timestampMs, key, value, headers: head } of list) {
    const k = key ?? Buffer.alloc(0);
    const v = value ?? Buffer.alloc(0);
    expect(builder.append(timestampMs, k, key === null ? -1 : 0, k.length, v, value === null ? -1 : 0, v.length, head)).toBe(true);
  }
  const batch = builder.finish(how);
  writeInt64(batch, baseOffset, 0);
  return batch;
}

function plain(block: RecordBlock): Plain[] {
  return Array.from({ length: block.count }, (_, i) => ({
    offset: block.position[i] as number,
    timestampMs: block.timestampMs[i] as number,
    key: block.keyStart[i] === -1 ? null : Buffer.from(block.bytes.subarray(block.keyStart[i], block.keyEnd[i])),
    value: block.valueStart[i] === -1 ? null : Buffer.from(block.bytes.subarray(block.valueStart[i], block.valueEnd[i])),
    headers: (block.headersOf(i) as RecordHeaders).map(([key, value]) => [key, value === null ? null : Buffer.from(value)] as const),
  }));
}

interface ReadOptions {
  readonly from?: number;
  readonly most?: number;
  readonly readCommitted?: boolean;
  readonly aborted?: readonly { readonly producerId: number; readonly firstOffset: number }[];
}

function readAll(
  data: Buffer,
  { from = 0, most = 4096, readCommitted = true, aborted = [] }: ReadOptions = {},
): { records: Plain[]; nextOffset: number } {
  const reader = new RecordBatchReader("t-0", { readCommitted, maxInflatedBytes: 1 << 22 });
  const block = new RecordBlock(Math.max(1, most));
  reader.open(data, 0, data.length, from, aborted);
  const found: Plain[] = [];
  while (reader.readInto(block, most) > 0) found.push(...plain(block));
  return { records: found, nextOffset: reader.nextOffset };
}

const expected = (list: readonly RecordCase[], baseOffset: number): Plain[] =>
  list.map(({ timestampMs, key, value, headers: head }, i) => ({ offset: baseOffset + i, timestampMs, key, value, headers: head }));

describe("record batches", () => {
  it("are built so that the client library reads the same records", () => {
    fc.assert(
      fc.property(records, fc.constantFrom(...compressions), fc.nat(2 ** 40), (list, compression, baseOffset) => {
        const batch = build(list, compression, baseOffset);
        const [decoded, ...more] = readRecordsBatches(Reader.from(batch));
        expect(more).toEqual([]);
        expect(decoded?.firstOffset).toBe(BigInt(baseOffset));
        expect(decoded?.producerId).toBe(7n);
        expect(decoded?.producerEpoch).toBe(3);
        expect(decoded?.firstSequence).toBe(11);
        expect(decoded?.maxTimestamp).toBe(BigInt(Math.max(...list.map((each) => each.timestampMs))));
        expect(batch.readUInt32BE(batchField.crc)).toBe(batchChecksum(batch, 0, batch.length));
        const found = decoded?.records.map((each) => ({
          offset: baseOffset + each.offsetDelta,
          timestampMs: Number(decoded.firstTimestamp + each.timestampDelta),
          key: each.key === null ? null : Buffer.from(each.key),
          value: each.value === null ? null : Buffer.from(each.value),
          headers: each.headers.map(([key, value]) => [String(key), value === null ? null : Buffer.from(value as Buffer)]),
        }));
        expect(found).toEqual(expected(list, baseOffset));
      }),
    );
  });

  it("of the client library are read as the records they hold", () => {
    fc.assert(
      fc.property(records, fc.constantFrom(...compressions), (wide, compression) => {
        // The library writes timestamps more than 2^31 ms apart wrongly; varint-cursor.test.ts covers those.
        const list = wide.map((each) => ({ ...each, timestampMs: 1_700_000_000_000 + (each.timestampMs % 2 ** 30) }));
        const messages = list.map(({ timestampMs, key, value, headers: head }) => ({
          topic: "t",
          timestamp: BigInt(timestampMs),
          key: key as Buffer,
          value: value as Buffer,
          // A map of buffers keeps repeated names apart.
          headers: new Map(head.map(([name, each]) => [Buffer.from(name), each as Buffer] as const)),
        }));
        const batch = createRecordsBatch(messages, { compression }).buffer;
        expect(readAll(batch).records).toEqual(expected(list, 0));
      }),
    );
  });

  it("are read whole in blocks of any size, from any offset, across batches", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(records, fc.constantFrom(...compressions), fc.nat(5)), { minLength: 1, maxLength: 5 }),
        fc.integer({ min: 1, max: 40 }),
        fc.nat(60),
        (batches, most, from) => {
          const pieces: Buffer[] = [];
          const all: Plain[] = [];
          let offset = 0;
          for (const [list, compression, gap] of batches) {
            offset += gap;
            pieces.push(build(list, compression, offset));
            all.push(...expected(list, offset));
            offset += list.length;
          }
          const { records: found, nextOffset } = readAll(Buffer.concat(pieces), { from, most });
          expect(found).toEqual(all.filter((each) => each.offset >= from));
          expect(nextOffset).toBe(Math.max(from, offset));
        },
      ),
    );
  });

  it("that are cut off at the end give the whole batches before the cut", () => {
    fc.assert(
      fc.property(fc.array(records, { minLength: 1, maxLength: 4 }), fc.double({ min: 0, max: 1, noNaN: true }), (lists, share) => {
        const batches: Buffer[] = [];
        let offset = 0;
        for (const list of lists) {
          batches.push(build(list, "none", offset));
          offset += list.length;
        }
        const data = Buffer.concat(batches);
        const cut = Math.floor(data.length * share);
        let whole = 0;
        let wholeRecords = 0;
        for (let size = 0; whole < batches.length; whole++) {
          size += (batches[whole] as Buffer).length;
          if (size > cut) break;
          wholeRecords += (lists[whole] as readonly RecordCase[]).length;
        }
        const { records: found, nextOffset } = readAll(data.subarray(0, cut));
        expect(found.length).toBe(wholeRecords);
        expect(nextOffset).toBe(wholeRecords);
      }),
    );
  });

  it("hand out the time of appending where the topic says so", () => {
    const batch = build([{ timestampMs: 5, key: null, value: Buffer.from("a"), headers: [] }], "none", 0);
    batch.writeInt16BE(0x08, batchField.attributes);
    writeInt64(batch, 777, batchField.maxTimestamp);
    batch.writeUInt32BE(batchChecksum(batch, 0, batch.length), batchField.crc);
    expect(readAll(batch).records[0]?.timestampMs).toBe(777);
  });

  it("can be given another producer without a change to their records", () => {
    const list = [{ timestampMs: 5, key: Buffer.from("k"), value: Buffer.from("a"), headers: [] }];
    const batch = build(list, "lz4", 0);
    restampBatch(batch, 2 ** 40, 9, 1234);
    const [decoded] = readRecordsBatches(Reader.from(batch));
    expect([decoded?.producerId, decoded?.producerEpoch, decoded?.firstSequence]).toEqual([2n ** 40n, 9, 1234]);
    expect(readAll(batch).records).toEqual(expected(list, 0));
  });

  it("are finished when the next record would pass the limit, and never refuse the first", () => {
    const builder = new RecordBatchBuilder(1000, "none");
    const value = Buffer.alloc(300, 1);
    const add = (size: number): boolean => builder.append(0, value, -1, -1, Buffer.alloc(size), 0, size, []);
    expect(add(5000)).toBe(true);
    expect(add(1)).toBe(false);
    const small = new RecordBatchBuilder(1000, "none");
    let count = 0;
    while (small.append(0, value, -1, -1, value, 0, 300, [])) count++;
    expect(count).toBe(3);
    expect(small.sizeBytes).toBeLessThanOrEqual(1000);
  });
});

describe("transactions", () => {
  const one = (text: string): readonly RecordCase[] => [{ timestampMs: 0, key: null, value: Buffer.from(text), headers: [] }];
  const data = (text: string, producerId: number, offset: number, transactional = true): Buffer =>
    build(one(text), "none", offset, { producerId, producerEpoch: 0, baseSequence: 0, transactional });

  function marker(producerId: number, offset: number, type: "abort" | "commit"): Buffer {
    const key = Buffer.from([0, 0, 0, type === "abort" ? 0 : 1]);
    const builder = new RecordBatchBuilder(1 << 16, "none");
    builder.append(0, key, 0, 4, Buffer.alloc(6), 0, 6, []);
    const batch = builder.finish({ producerId, producerEpoch: 0, baseSequence: -1, transactional: true });
    batch.writeInt16BE(0x30, batchField.attributes);
    writeInt64(batch, offset, 0);
    batch.writeUInt32BE(batchChecksum(batch, 0, batch.length), batchField.crc);
    return batch;
  }

  const log = Buffer.concat([
    data("a0", 1, 0),
    data("b1", 2, 1),
    data("plain", -1, 2, false),
    marker(1, 3, "abort"),
    data("a4", 1, 4),
    marker(2, 5, "commit"),
    marker(1, 6, "commit"),
    data("c7", 3, 7),
    marker(3, 8, "abort"),
  ]);
  const aborted = [
    { producerId: 3, firstOffset: 7 },
    { producerId: 1, firstOffset: 0 },
  ];
  const texts = (options: ReadOptions): (string | undefined)[] => readAll(log, options).records.map((each) => each.value?.toString());

  it("that were aborted are left out for read_committed, and markers always are", () => {
    expect(texts({ aborted })).toEqual(["b1", "plain", "a4"]);
    expect(texts({ readCommitted: false })).toEqual(["a0", "b1", "plain", "a4", "c7"]);
  });

  it("move the position past what is left out", () => {
    expect(readAll(log, { aborted }).nextOffset).toBe(9);
    expect(readAll(log.subarray(log.length - marker(3, 8, "abort").length), { from: 8 }).nextOffset).toBe(9);
  });
});

describe("damaged batches", () => {
  const list = (count: number): RecordCase[] =>
    Array.from({ length: count }, (_, i) => ({
      timestampMs: i,
      key: Buffer.from(`k${i}`),
      value: Buffer.alloc(i % 50, 65),
      headers: i % 5 === 0 ? [["h", Buffer.from("v")]] : [],
    }));

  /** Reads what may be anything: only an error of ours, or records inside of the bytes, may come out. */
  function readDamaged(data: Buffer): Plain[] | "refused" {
    try {
      return readAll(data).records;
    } catch (error) {
      if (isMillraceError(error, "KAFKA_RECORDS_CORRUPT") || isMillraceError(error, "KAFKA_FORMAT_UNSUPPORTED")) return "refused";
      throw error;
    }
  }

  it("never give a value that was not written, whichever bit flips", () => {
    for (const compression of compressions) {
      const batch = build(list(20), compression, 100);
      const good = JSON.stringify(readAll(batch).records);
      let refused = 0;
      for (let bit = batchField.leaderEpoch * 8; bit < batch.length * 8; bit++) {
        const damaged = Buffer.from(batch);
        damaged[bit >> 3] = (damaged[bit >> 3] as number) ^ (1 << (bit & 7));
        const result = readDamaged(damaged);
        if (result === "refused") refused++;
        else expect(JSON.stringify(result)).toBe(good);
      }
      // All but the 32 bits of the leader epoch, which the checksum leaves out.
      expect(refused).toBe(batch.length * 8 - batchField.leaderEpoch * 8 - 32);
    }
  });

  it("with a matching checksum over nonsense are refused or stay within their bytes", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.constantFrom(...compressions),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }),
        (count, compression, hits) => {
          const batch = build(list(count), compression, 100);
          for (const [at, value] of hits) batch[batchField.attributes + (at % (batch.length - batchField.attributes))] = value;
          batch.writeUInt32BE(batchChecksum(batch, 0, batch.length), batchField.crc);
          const result = readDamaged(batch);
          if (result === "refused") return;
          for (const each of result) {
            expect((each.value?.length ?? 0) + (each.key?.length ?? 0)).toBeLessThan(1 << 22);
            expect(Number.isFinite(each.offset)).toBe(true);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it("of random bytes are refused or give nothing", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (random) => {
        const result = readDamaged(Buffer.from(random));
        expect(result === "refused" || result.length === 0).toBe(true);
      }),
      { numRuns: 5000 },
    );
  });

  it("that would become too large are refused before they do", () => {
    const big = [{ timestampMs: 0, key: null, value: Buffer.alloc(8 << 20), headers: [] }];
    for (const compression of compressions.filter((each) => each !== "none")) {
      const builder = new RecordBatchBuilder(64 << 20, compression);
      const value = big[0]?.value as Buffer;
      builder.append(0, value, -1, -1, value, 0, value.length, []);
      const before = process.memoryUsage().rss;
      expect(readDamaged(builder.finish(stamp))).toBe("refused");
      expect(process.memoryUsage().rss - before).toBeLessThan(64 << 20);
    }
  });
});
