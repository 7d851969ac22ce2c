// Damages record batches in every way and reads them.
//
// With the checksum left alone, a batch is refused or gives what was written. With the checksum made right again over the damage, it is
// refused or gives records within its bytes. Never anything else, and never much memory.
import { setImmediate as nextTurn } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { isMillraceError } from "../../../base/errors.ts";
import type { Compression } from "./compression.ts";
import { RecordBatchBuilder } from "./record-batch-builder.ts";
import { batchChecksum, batchField } from "./record-batch-header.ts";
import { RecordBatchReader } from "./record-batch-reader.ts";
import { RecordBlock } from "./record-block.ts";
import { damaged, damages, MemoryWatch, Random } from "../../../base/damage.suite.ts";

const compressions: readonly Compression[] = ["none", "gzip", "snappy", "lz4", "zstd"];
const maxInflatedBytes = 1 << 20;
const mostGrownBytes = 256 * 2 ** 20;

type Read = readonly (readonly [offset: number, key: string | null, value: string | null])[];

function build(random: Random, compression: Compression): Buffer {
  const builder = new RecordBatchBuilder(1 << 16, compression);
  for (let i = 1 + random.below(20); i > 0; i--) {
    const key = random.bytes(random.below(20));
    const value = random.below(2) === 0 ? random.bytes(random.below(200)) : Buffer.alloc(random.below(200), "a");
    const headers = random.below(4) === 0 ? [["h", random.bytes(3)] as [string, Uint8Array]] : [];
    builder.append(
      1_700_000_000_000 + random.below(5000),
      key,
      random.below(3) === 0 ? -1 : 0,
      key.length,
      value,
      random.below(9) === 0 ? -1 : 0,
      value.length,
      headers,
    );
  }
  return builder.finish({ producerId: random.below(9) - 1, producerEpoch: 0, baseSequence: 0, transactional: random.below(2) === 0 });
}

function readAll(random: Random, block: RecordBlock, bytes: Buffer): Read | "refused" {
  const reader = new RecordBatchReader("fuzz-0", { readCommitted: random.below(2) === 0, maxInflatedBytes });
  const found: [number, string | null, string | null][] = [];
  const text = (start: number, end: number): string | null => {
    if (start < 0) return null;
    if (end < start || end > block.bytes.length) throw new Error(`a range [${start}, ${end}) outside of ${block.bytes.length} bytes`);
    return block.bytes.toString("latin1", start, end);
  };
  try {
    reader.open(bytes, 0, bytes.length, 0, []);
    while (reader.readInto(block, 64) > 0) {
      for (let i = 0; i < block.count; i++) {
        block.headersOf(i);
        found.push([
          block.position[i] as number,
          text(block.keyStart[i] as number, block.keyEnd[i] as number),
          text(block.valueStart[i] as number, block.valueEnd[i] as number),
        ]);
      }
    }
  } catch (error) {
    if (isMillraceError(error, "KAFKA_RECORDS_CORRUPT") || isMillraceError(error, "KAFKA_FORMAT_UNSUPPORTED")) return "refused";
    throw error;
  }
  return found;
}

/** What became of the damaged batches. */
export interface DamageCounts {
  readonly cases: number;
  readonly whole: number;
  readonly refused: number;
  readonly nothing: number;
  /** Nonsense under a right checksum, read as records within its bytes. */
  readonly other: number;
  readonly grownBytes: number;
}

/** Checks `cases` batches; throws on the first that is read wrongly, naming how to repeat it. */
export async function checkDamagedBatches(cases: number, seed: number): Promise<DamageCounts> {
  const random = new Random(seed);
  const block = new RecordBlock(64);
  const memory = new MemoryWatch(mostGrownBytes);
  const counts = { refused: 0, whole: 0, nothing: 0, other: 0 };
  for (let done = 0; done < cases; ) {
    const good = build(random, random.pick(compressions));
    const written = readAll(random, block, good);
    if (written === "refused") throw new Error(`seed ${seed}, case ${done}: a good batch was refused`);
    for (let variant = 0; variant < 20; variant++, done++) {
      const damage = random.pick(damages);
      const bytes = damaged(random, good, damage);
      const resealed = random.below(2) === 0 && bytes.length >= batchField.records;
      if (resealed) bytes.writeUInt32BE(batchChecksum(bytes, 0, bytes.length), batchField.crc);
      const where = `seed ${seed}, case ${done}, ${damage}${resealed ? " with a right checksum" : ""}`;
      let read: ReturnType<typeof readAll>;
      try {
        read = readAll(random, block, bytes);
      } catch (cause) {
        throw new Error(`${where}: ${bytes.toString("hex")}`, { cause });
      }
      if (read === "refused") counts.refused++;
      else if (read.length === 0) counts.nothing++;
      else {
        const offset = bytes.readBigInt64BE(0);
        const plain = read.map(([position, key, value]) => [position - Number(offset), key, value]);
        // Its offset and leader epoch are not under the checksum: the broker sets them.
        if (isDeepStrictEqual(plain, written)) counts.whole++;
        else if (resealed) counts.other++;
        else throw new Error(`${where}: other records than were written: ${bytes.toString("hex")}`);
      }
    }
    if (done % 2000 > 0) continue;
    // Buffers of native libraries are given back between turns of the event loop only.
    await nextTurn();
    memory.look(`seed ${seed}, case ${done}`);
  }
  return { cases, ...counts, grownBytes: memory.greatestBytes };
}
