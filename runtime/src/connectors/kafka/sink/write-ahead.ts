// What an exactly-once sink instance stores with a checkpoint: the record batches of every epoch that is not committed, to be sent again if need be.
import { ByteReader, ByteWriter } from "../../../base/bytes.ts";
import { MillraceError } from "../../../base/errors.ts";

export interface AheadBatch {
  readonly topic: string;
  readonly partition: number;
  /** One encoded record batch. */
  readonly bytes: Buffer;
}

export interface AheadEpoch {
  readonly checkpointId: number;
  readonly batches: readonly AheadBatch[];
}

export interface WriteAhead {
  /** The life of the sink that wrote this: checkpoint numbers repeat after a rollback, lives do not. */
  readonly life: string;
  /** The instance, and how many transactional ids it has used: what has to be fenced before anything is sent again. */
  readonly subtask: number;
  readonly slots: number;
  /** When it was written, ms since the epoch: a commit marker that is older than its retention is gone. */
  readonly writtenAtMs: number;
  /** In order; empty epochs are left out. */
  readonly epochs: readonly AheadEpoch[];
}

const formatVersion = 1;
const mostSlots = 64;

export function writeAheadSize(epochs: readonly AheadEpoch[]): number {
  let size = 0;
  for (const epoch of epochs) for (const batch of epoch.batches) size += batch.bytes.length;
  return size;
}

export function encodeWriteAhead(ahead: WriteAhead): Uint8Array {
  let count = 0;
  for (const epoch of ahead.epochs) count += 1 + epoch.batches.length;
  const writer = new ByteWriter(256 + count * 300 + writeAheadSize(ahead.epochs));
  writer.u8(formatVersion);
  writer.string(ahead.life);
  writer.varint(ahead.subtask);
  writer.varint(ahead.slots);
  writer.f64(ahead.writtenAtMs);
  writer.varint(ahead.epochs.length);
  for (const { checkpointId, batches } of ahead.epochs) {
    writer.varint(checkpointId);
    writer.varint(batches.length);
    for (const { topic, partition, bytes } of batches) {
      writer.string(topic);
      writer.varint(partition);
      writer.bytes(bytes);
    }
  }
  return writer.view();
}

/** Undefined for an instance that stored nothing. Throws SINK_STATE_CORRUPT for anything else that is not readable. */
export function decodeWriteAhead(state: Uint8Array, uid: string): WriteAhead | undefined {
  // An at-least-once sink stores nothing; a job may change from it.
  if (state.length === 0) return undefined;
  try {
    return readAhead(new ByteReader(state));
  } catch (cause) {
    throw new MillraceError(
      "SINK_STATE_CORRUPT",
      `kafka sink ${uid}`,
      "the restored state is not readable",
      "restore another snapshot, or one taken by this version or an older one",
      { cause },
    );
  }
}

function readAhead(reader: ByteReader): WriteAhead {
  const version = reader.u8();
  if (version !== formatVersion) throw new RangeError(`format ${version} is not known`);
  const head = { life: reader.string(), subtask: reader.varint(), slots: reader.varint(), writtenAtMs: reader.f64() };
  if (head.slots > mostSlots) throw new RangeError(`${head.slots} transactional ids`);
  const epochs: AheadEpoch[] = [];
  for (let left = counted(reader); left > 0; left--) {
    const checkpointId = reader.varint();
    const batches: AheadBatch[] = [];
    for (let more = counted(reader); more > 0; more--) {
      // Copied: the bytes get another producer's stamp before they are sent.
      batches.push({ topic: reader.string(), partition: reader.varint(), bytes: Buffer.from(reader.bytes()) });
    }
    epochs.push({ checkpointId, batches });
  }
  if (reader.remaining > 0) throw new RangeError(`${reader.remaining} bytes are left over`);
  return { ...head, epochs };
}

// Each entry takes a byte at least, so a count above what is left is damage.
function counted(reader: ByteReader): number {
  const count = reader.varint();
  if (count > reader.remaining) throw new RangeError(`a count of ${count} passes the end`);
  return count;
}
