// The fetching side of one partition: where it stands, what is buffered, and whether it may be fetched now.
import type { FetchPartition } from "../wire/data-apis.ts";
import type { FetchedPiece } from "./fetched-piece.ts";

/** Pieces that wait to be read while more is fetched: one being read, one ready behind it. */
const mostPieces = 2;

export class FetchedPartition {
  readonly splitId: string;
  readonly topic: string;
  readonly partition: number;
  /** Empty until metadata has told it; a change means that the topic is another one. */
  topicId: string;
  /** The next fetch begins here. */
  offset: number;
  /** The leader epoch of the last batch fetched, -1 for none. */
  lastEpoch: number;
  leaderId = -1;
  leaderEpoch = -1;
  /** True while the leader has to be asked for. */
  leaderless = true;
  inFlight = false;
  paused = false;
  maxBytes: number;
  /** The end of what a reader may see, as of the last answer; NaN before the first. */
  endOffset: number = Number.NaN;
  readonly pieces: FetchedPiece[] = [];
  /** Failed attempts since the last success, and when the first of them was. */
  failures = 0;
  failingSinceMs = 0;

  constructor(splitId: string, topic: string, partition: number, offset: number, lastEpoch: number, topicId: string, maxBytes: number) {
    this.splitId = splitId;
    this.topic = topic;
    this.partition = partition;
    this.offset = offset;
    this.lastEpoch = lastEpoch;
    this.topicId = topicId;
    this.maxBytes = maxBytes;
  }

  get fetchable(): boolean {
    return !this.inFlight && !this.leaderless && !this.paused && this.pieces.length < mostPieces;
  }

  /** True when all that is known to be there has been fetched. */
  get caughtUp(): boolean {
    return this.offset >= this.endOffset;
  }

  entry(): FetchPartition {
    const { topic, partition, offset, leaderEpoch, lastEpoch, maxBytes } = this;
    return { topic, partition, offset, leaderEpoch, lastFetchedEpoch: lastEpoch, maxBytes };
  }

  succeeded(): void {
    this.failures = 0;
  }

  /** Counts a failed attempt and returns for how long it has been failing, ms. */
  failed(nowMs: number): number {
    if (this.failures === 0) this.failingSinceMs = nowMs;
    this.failures++;
    return nowMs - this.failingSinceMs;
  }

  dropPieces(): void {
    for (const piece of this.pieces.splice(0)) piece.lease.give();
  }
}
