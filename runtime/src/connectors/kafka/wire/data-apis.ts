// Fetch and Produce: the two requests that carry records. Record bytes are neither copied nor looked into here.
import { byTopic } from "./api.ts";
import type { KafkaApi, TopicPartition } from "./api.ts";
import { isolationByte } from "./offset-apis.ts";
import type { Isolation } from "./offset-apis.ts";
import type { ProtocolReader } from "./protocol-reader.ts";
import { ProtocolWriter } from "./protocol-writer.ts";

export interface FetchPartition extends TopicPartition {
  readonly offset: number;
  /** -1 where it is not known; a broker with another one refuses (KIP-320). */
  readonly leaderEpoch: number;
  /** The epoch of the last record read, -1 for none: the broker answers a divergence when its log does not hold that (KIP-595). */
  readonly lastFetchedEpoch: number;
  readonly maxBytes: number;
}

export interface FetchRequest {
  readonly isolation: Isolation;
  /** How long the broker may wait for `minBytes`. */
  readonly maxWaitMs: number;
  readonly minBytes: number;
  /** For the whole response; the first batch comes even if it is larger. */
  readonly maxBytes: number;
  readonly partitions: readonly FetchPartition[];
}

export interface AbortedTransaction {
  readonly producerId: number;
  readonly firstOffset: number;
}

export interface FetchedPartition extends TopicPartition {
  readonly errorCode: number;
  readonly highWatermark: number;
  readonly lastStableOffset: number;
  readonly logStartOffset: number;
  readonly aborted: readonly AbortedTransaction[];
  /** Where the log ends for the last epoch that reader and broker share; undefined when they agree. */
  readonly divergence: { readonly epoch: number; readonly endOffset: number } | undefined;
  /** The record batches are `frame[recordsStart, recordsEnd)`. */
  readonly recordsStart: number;
  readonly recordsEnd: number;
}

export interface FetchResult {
  readonly errorCode: number;
  readonly throttleMs: number;
  readonly partitions: readonly FetchedPartition[];
}

function decodeFetched(reader: ProtocolReader, topic: string): FetchedPartition {
  const partition = reader.i32();
  const errorCode = reader.i16();
  const highWatermark = reader.i64();
  const lastStableOffset = reader.i64();
  const logStartOffset = reader.i64();
  const aborted = reader.array(() => {
    const transaction = { producerId: reader.i64(), firstOffset: reader.i64() };
    reader.tags();
    return transaction;
  });
  reader.i32();
  const size = Math.max(0, reader.byteLength());
  const recordsStart = reader.position;
  reader.skip(size);
  let divergence: FetchedPartition["divergence"];
  reader.eachTag((tag) => {
    if (tag === 0) divergence = { epoch: reader.i32(), endOffset: reader.i64() };
  });
  if (divergence !== undefined && divergence.endOffset < 0) divergence = undefined;
  return {
    topic,
    partition,
    errorCode,
    highWatermark,
    lastStableOffset,
    logStartOffset,
    aborted,
    divergence,
    recordsStart,
    recordsEnd: recordsStart + size,
  };
}

/** Without fetch sessions: a request names all its partitions, and the broker keeps nothing about the reader. */
export const fetchApi: KafkaApi<FetchRequest, FetchResult> = {
  name: "Fetch",
  key: 1,
  version: 12,
  flexible: true,
  encode(writer, request) {
    writer.i32(-1).i32(request.maxWaitMs).i32(request.minBytes).i32(request.maxBytes).i8(isolationByte(request.isolation)).i32(0).i32(-1);
    writer.array(byTopic(request.partitions), ([topic, partitions]) => {
      writer.string(topic).array(partitions, (p) => {
        writer.i32(p.partition).i32(p.leaderEpoch).i64(p.offset).i32(p.lastFetchedEpoch).i64(-1).i32(p.maxBytes).tags();
      });
      writer.tags();
    });
    writer.array([], () => undefined);
    writer.string("").tags();
  },
  decode(reader) {
    const throttleMs = reader.i32();
    const errorCode = reader.i16();
    reader.i32();
    const partitions: FetchedPartition[] = [];
    reader.array(() => {
      const topic = reader.string();
      reader.array(() => partitions.push(decodeFetched(reader, topic)));
      reader.tags();
    });
    reader.tags();
    return { errorCode, throttleMs, partitions };
  },
};

export interface ProduceBatch extends TopicPartition {
  /** One encoded record batch; it must not change until the request is answered. */
  readonly batch: Uint8Array;
}

export interface ProduceRequest {
  readonly transactionalId: string | null;
  /** -1 waits for all in-sync replicas, 1 for the leader. */
  readonly acks: -1 | 1;
  readonly timeoutMs: number;
  readonly batches: readonly ProduceBatch[];
}

export interface ProduceResult extends TopicPartition {
  readonly errorCode: number;
  readonly baseOffset: number;
  readonly message: string | null;
}

export const produceApi: KafkaApi<ProduceRequest, readonly ProduceResult[]> = {
  name: "Produce",
  key: 0,
  version: 9,
  flexible: true,
  encode() {
    throw new Error("a produce request is encoded in pieces, by produceBody");
  },
  decode(reader) {
    const results: ProduceResult[] = [];
    reader.array(() => {
      const topic = reader.string();
      reader.array(() => {
        const partition = reader.i32();
        const errorCode = reader.i16();
        const baseOffset = reader.i64();
        reader.i64();
        reader.i64();
        reader.array(() => {
          reader.i32();
          reader.nullableString();
          reader.tags();
        });
        results.push({ topic, partition, errorCode, baseOffset, message: reader.nullableString() });
        reader.tags();
      });
      reader.tags();
    });
    reader.i32();
    reader.tags();
    return results;
  },
};

/** A produce request's body as the pieces to be sent one after the other, so that record bytes go to the socket uncopied. */
export function produceBody(request: ProduceRequest): Uint8Array[] {
  const pieces: Uint8Array[] = [];
  const writer = new ProtocolWriter(true, 64 + request.batches.length * 48);
  let sent = 0;
  const cut = (): void => {
    pieces.push(Uint8Array.prototype.slice.call(writer.view(), sent));
    sent = writer.length;
  };
  writer.string(request.transactionalId).i16(request.acks).i32(request.timeoutMs);
  writer.array(byTopic(request.batches), ([topic, batches]) => {
    writer.string(topic).array(batches, ({ partition, batch }) => {
      writer.i32(partition).byteLength(batch.length);
      cut();
      pieces.push(batch);
      writer.tags();
    });
    writer.tags();
  });
  writer.tags();
  cut();
  return pieces;
}
