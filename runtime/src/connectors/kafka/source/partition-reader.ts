// Reads the partitions of one source instance: pieces that were fetched ahead, walked in place, one partition after the other.
import type { Log } from "../../../base/log.ts";
import { messageOf } from "../../../base/errors.ts";
import type { SourceBatch, SourceReader, SourceSplit } from "../../../core/ports/source.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import { RecordBatchReader } from "../wire/record-batch-reader.ts";
import { RecordBlock } from "../wire/record-block.ts";
import type { FetchedPiece } from "./fetched-piece.ts";
import type { Fetcher } from "./fetcher.ts";
import { partitionSplit } from "./split-position.ts";
import type { PartitionSplit, SplitPosition } from "./split-position.ts";

interface OpenSplit {
  readonly split: PartitionSplit;
  readonly reader: RecordBatchReader;
  piece: FetchedPiece | undefined;
  paused: boolean;
  finished: boolean;
  reported: boolean;
}

/** What a reader needs of a fetcher, which it may share with others. */
export type PartitionFetches = Pick<Fetcher, "add" | "remove" | "setPaused" | "take" | "endOffset" | "ready" | "wake" | "close">;

export interface PartitionReaderParts {
  readonly client: Pick<KafkaClient, "commitGroupOffsets" | "close"> & Partial<Pick<KafkaClient, "listOffsets">>;
  readonly fetcher: PartitionFetches;
  readonly readCommitted: boolean;
  readonly groupId: string | undefined;
  readonly uid: string;
  readonly log: Log;
}

const firstBlockRecords = 4096;

export class PartitionReader implements SourceReader {
  readonly #parts: PartitionReaderParts;
  readonly #splits: OpenSplit[] = [];
  readonly #block: RecordBlock = new RecordBlock(firstBlockRecords);
  readonly #batch: SourceBatch = { kind: "raw", records: this.#block };
  /** Ended with the last block, which still shows its piece. */
  #ended: OpenSplit | undefined;
  #turn = 0;
  #closed = false;
  /** Ends that were asked for, by split; fetches may know later ones. */
  readonly #listedEnds = new Map<string, number>();

  constructor(parts: PartitionReaderParts) {
    this.#parts = parts;
  }

  assign(splits: readonly SourceSplit[]): void {
    const opened = splits.map((each): OpenSplit => {
      const split = partitionSplit(each, this.#parts.uid);
      const reader = new RecordBatchReader(split.id, { readCommitted: this.#parts.readCommitted });
      reader.nextOffset = split.offset;
      reader.leaderEpoch = split.leaderEpoch;
      return { split, reader, piece: undefined, paused: false, finished: isOver(split, split.offset), reported: false };
    });
    this.#splits.push(...opened);
    this.#parts.fetcher.add(
      opened
        .filter((each) => !each.finished)
        .map(({ split: { id, topic, partition, offset, leaderEpoch, topicId } }) => ({
          splitId: id,
          topic,
          partition,
          offset,
          leaderEpoch,
          topicId,
        })),
    );
    this.#parts.fetcher.wake();
  }

  poll(maxRecords: number): SourceBatch | null {
    this.#block.ensure(maxRecords);
    if (this.#ended !== undefined) this.#endPiece(this.#ended);
    this.#ended = undefined;
    const splits = this.#splits;
    for (let k = 0; k < splits.length; k++) {
      const index = (this.#turn + k) % splits.length;
      const open = splits[index] as OpenSplit;
      if (open.paused || open.finished || this.#read(open, maxRecords) === 0) continue;
      this.#turn = index + 1;
      return this.#batch;
    }
    return null;
  }

  #read(open: OpenSplit, maxRecords: number): number {
    for (;;) {
      if (open.piece === undefined) {
        const piece = this.#parts.fetcher.take(open.split.id);
        if (piece === undefined) return 0;
        open.piece = piece;
        open.reader.open(piece.lease.bytes, piece.start, piece.end, piece.fromOffset, piece.aborted);
      }
      const count = open.reader.readInto(this.#block, maxRecords);
      if (count > 0) return this.#untilEnd(open, count);
      this.#endPiece(open);
      if (isOver(open.split, open.reader.nextOffset)) {
        this.#finish(open);
        return 0;
      }
    }
  }

  // Cuts a block at the split's end.
  #untilEnd(open: OpenSplit, count: number): number {
    const { endOffset } = open.split;
    if (endOffset === undefined || (this.#block.position[count - 1] as number) < endOffset) return count;
    let kept = count;
    while (kept > 0 && (this.#block.position[kept - 1] as number) >= endOffset) kept--;
    this.#block.count = kept;
    this.#finish(open);
    if (kept === 0) this.#endPiece(open);
    else this.#ended = open;
    open.reader.nextOffset = endOffset;
    return kept;
  }

  #finish(open: OpenSplit): void {
    open.finished = true;
    this.#parts.fetcher.remove(open.split.id);
  }

  #endPiece(open: OpenSplit): void {
    open.reader.clear();
    open.piece?.lease.give();
    open.piece = undefined;
  }

  async ready(): Promise<void> {
    if (
      this.#closed ||
      this.#splits.some((open) => (open.piece !== undefined && !open.paused && !open.finished) || (open.finished && !open.reported))
    )
      return;
    await this.#parts.fetcher.ready();
  }

  snapshot(): readonly SourceSplit[] {
    return this.#splits.map(({ split, reader }) => {
      const { id, topicId, endOffset } = split;
      const position: SplitPosition = {
        offset: reader.nextOffset,
        leaderEpoch: reader.leaderEpoch,
        topicId,
        ...(endOffset === undefined ? {} : { endOffset }),
      };
      return { id, position };
    });
  }

  takeFinished(): readonly string[] {
    const ids: string[] = [];
    for (const open of this.#splits) {
      if (!open.finished || open.reported) continue;
      open.reported = true;
      ids.push(open.split.id);
    }
    return ids;
  }

  setPaused(splitId: string, paused: boolean): void {
    const open = this.#splits.find((each) => each.split.id === splitId);
    if (open === undefined) return;
    open.paused = paused;
    this.#parts.fetcher.setPaused(splitId, paused);
    if (!paused) this.#parts.fetcher.wake();
  }

  /** Offsets between the position and the end that a reader may see; markers and compacted records count too. */
  lag(): ReadonlyMap<string, number> {
    const lags = new Map<string, number>();
    for (const { split, reader, finished } of this.#splits) {
      const fetched = this.#parts.fetcher.endOffset(split.id);
      const end = Math.min(Math.max(fetched, this.#listedEnds.get(split.id) ?? fetched), split.endOffset ?? Number.POSITIVE_INFINITY);
      if (finished) lags.set(split.id, 0);
      else if (!Number.isNaN(end)) lags.set(split.id, Math.max(0, end - reader.nextOffset));
    }
    return lags;
  }

  // A partition of which enough is fetched is not asked again until that is read, so its end may be long behind.
  async refreshLag(): Promise<void> {
    const { client, readCommitted } = this.#parts;
    const open = this.#splits.filter(({ finished }) => !finished).map(({ split }) => split);
    if (open.length === 0 || this.#closed || client.listOffsets === undefined) return;
    const asked = open.map(({ topic, partition }) => ({ topic, partition, at: "latest" as const }));
    const listed = await client.listOffsets(asked, readCommitted ? "read_committed" : "read_uncommitted");
    for (const { topic, partition, offset } of listed) {
      const split = open.find((each) => each.topic === topic && each.partition === partition);
      if (split !== undefined) this.#listedEnds.set(split.id, offset);
    }
  }

  async checkpointCompleted(splits: readonly SourceSplit[]): Promise<void> {
    const { groupId, client, log, uid } = this.#parts;
    if (groupId === undefined || this.#closed) return;
    const offsets = splits.map((each) => {
      const { topic, partition, offset, leaderEpoch } = partitionSplit(each, uid);
      return { topic, partition, offset, leaderEpoch, metadata: "" };
    });
    try {
      await client.commitGroupOffsets(groupId, offsets);
    } catch (error) {
      // For monitors only: the snapshot is what the job restores from.
      log.warn("group offsets were not committed", { groupId, reason: messageOf(error) });
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const open of this.#splits) this.#endPiece(open);
    this.#parts.fetcher.close();
    await this.#parts.client.close();
  }
}

function isOver(split: PartitionSplit, offset: number): boolean {
  return split.endOffset !== undefined && offset >= split.endOffset;
}
