// Fetches partitions ahead of their reading: one request per leader and lane, bounded bytes, through leader changes, restarts and lost offsets.
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import { Signal } from "../../../base/signal.ts";
import type { FetchAnswer, FetchLane, KafkaClient } from "../client/kafka-client.ts";
import { KafkaProblem, kafkaCode, kindOfCode, problemOf, toMillraceError } from "../client/kafka-problem.ts";
import { retryDelayMs, sleep } from "../client/retry.ts";
import type { FetchedPartition as Answered } from "../wire/data-apis.ts";
import type { Isolation } from "../wire/offset-apis.ts";
import { FetchedPartition } from "./fetch-partition.ts";
import { AnswerLease, spanBatches } from "./fetched-piece.ts";
import type { FetchedPiece } from "./fetched-piece.ts";
import { findLostOffset, logTruncated, topicRecreated } from "./lost-offsets.ts";
import type { OutOfRangePolicy } from "./lost-offsets.ts";

export interface FetcherOptions {
  readonly isolation: Isolation;
  readonly onOffsetOutOfRange: OutOfRangePolicy;
  /** Of one partition per request. */
  readonly maxPartitionBytes: number;
  /** Of all that is fetched and not read; a single batch may exceed it, and a request where paused partitions hold all of it. */
  readonly maxBufferedBytes: number;
  /** How long a broker may keep a request when it has no records. */
  readonly maxWaitMs: number;
  /** For how long a partition may fail to be fetched before the source fails. */
  readonly failureTimeoutMs: number;
}

export interface FetcherParts {
  readonly client: KafkaClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** Called whenever `ready` would settle. */
  readonly onChanged?: () => void;
}

/** Where a partition begins. */
export interface FetchStart {
  readonly splitId: string;
  readonly topic: string;
  readonly partition: number;
  readonly offset: number;
  readonly leaderEpoch: number;
  readonly topicId: string;
}

const lanes: readonly FetchLane[] = [0, 1];
// While other partitions of the broker may become fetchable, a lane must not be kept for long by idle ones.
const shortWaitMs = 20;
/** For how long an offset above the end may be the broker being behind, not the records being gone. */
const aboveEndPatienceMs = 10_000;
const mostPartitionBytes = 64 * 1024 * 1024;

export class Fetcher {
  readonly #options: FetcherOptions;
  readonly #parts: FetcherParts;
  readonly #changed: Signal = new Signal();
  readonly #bySplit = new Map<string, FetchedPartition>();
  /** In the order in which they are asked for: whoever got records goes to the end. */
  #order: FetchedPartition[] = [];
  readonly #busyLanes = new Set<string>();
  #bufferedBytes = 0;
  #refreshing = false;
  #failure: unknown;
  #closed = false;

  constructor(options: FetcherOptions, parts: FetcherParts) {
    this.#options = options;
    this.#parts = parts;
  }

  add(starts: readonly FetchStart[]): void {
    for (const { splitId, topic, partition, offset, leaderEpoch, topicId } of starts) {
      const added = new FetchedPartition(splitId, topic, partition, offset, leaderEpoch, topicId, this.#options.maxPartitionBytes);
      this.#bySplit.set(splitId, added);
      this.#order.push(added);
    }
    this.#pump();
  }

  remove(splitId: string): void {
    const removed = this.#bySplit.get(splitId);
    if (removed === undefined) return;
    this.#bySplit.delete(splitId);
    this.#order = this.#order.filter((each) => each !== removed);
    removed.dropPieces();
  }

  setPaused(splitId: string, paused: boolean): void {
    const partition = this.#bySplit.get(splitId);
    if (partition === undefined) return;
    partition.paused = paused;
    // Who is paused makes way for the others, too.
    this.#pump();
  }

  /** The next piece of a split in order; whoever takes it gives its lease back. */
  take(splitId: string): FetchedPiece | undefined {
    if (this.#failure !== undefined) throw this.#failure;
    const piece = this.#bySplit.get(splitId)?.pieces.shift();
    if (piece !== undefined) this.#pump();
    return piece;
  }

  /** The end of what may be read of a split, as last answered; NaN when it is not known. */
  endOffset(splitId: string): number {
    return this.#bySplit.get(splitId)?.endOffset ?? Number.NaN;
  }

  /** Settles when a piece may be there; rejects when fetching has failed for good. */
  async ready(): Promise<void> {
    if (this.#failure === undefined && !this.#order.some((each) => each.pieces.length > 0 && !each.paused)) await this.#changed.next();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Wakes whoever waits in `ready`. */
  wake(): void {
    this.#notify();
  }

  #notify(): void {
    this.#changed.notify();
    this.#parts.onChanged?.();
  }

  get bufferedBytes(): number {
    return this.#bufferedBytes;
  }

  /** Drops everything. Requests under way end with the client's connections. */
  close(): void {
    this.#closed = true;
    for (const partition of this.#order) partition.dropPieces();
    this.#order = [];
    this.#bySplit.clear();
    this.#changed.notify();
  }

  #fail(error: unknown): void {
    if (this.#closed || this.#failure !== undefined) return;
    this.#failure = error;
    this.#notify();
  }

  // Sends what may be sent. Called whenever something has changed.
  #pump(): void {
    if (this.#closed || this.#failure !== undefined) return;
    if (this.#order.some((each) => each.leaderless)) this.#refresh();
    const leaders = new Set(this.#order.filter((each) => each.fetchable).map((each) => each.leaderId));
    for (const leaderId of leaders) {
      for (const lane of lanes) {
        if (this.#isFull()) return;
        if (!this.#busyLanes.has(`${leaderId}/${lane}`)) this.#send(leaderId, lane);
      }
    }
  }

  // What paused partitions hold is read only after others have gone on: where nothing else is there or under way, these get a request
  // beyond the limit.
  #isFull(): boolean {
    if (this.#bufferedBytes < this.#options.maxBufferedBytes) return false;
    const reading = this.#order.filter((each) => !each.paused);
    return reading.length === this.#order.length || reading.some((each) => each.pieces.length > 0 || each.inFlight);
  }

  #send(leaderId: number, lane: FetchLane): void {
    const ofLeader = this.#order.filter((each) => each.leaderId === leaderId && !each.leaderless);
    const chosen = ofLeader.filter((each) => each.fetchable);
    if (chosen.length === 0) return;
    for (const each of chosen) each.inFlight = true;
    const maxBytes = Math.max(this.#options.maxBufferedBytes - this.#bufferedBytes, this.#options.maxPartitionBytes);
    const maxWaitMs = ofLeader.every((each) => each.inFlight) ? this.#options.maxWaitMs : Math.min(shortWaitMs, this.#options.maxWaitMs);
    const request = {
      isolation: this.#options.isolation,
      maxWaitMs,
      minBytes: 1,
      maxBytes,
      partitions: chosen.map((each) => each.entry()),
    };
    this.#busyLanes.add(`${leaderId}/${lane}`);
    this.#parts.client
      .fetch(leaderId, request, lane)
      .then(
        (answer) => this.#receive(chosen, answer),
        (problem: unknown) => this.#miss(chosen, problem),
      )
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#busyLanes.delete(`${leaderId}/${lane}`);
        this.#pump();
      });
  }

  #miss(asked: readonly FetchedPartition[], problem: unknown): void {
    if (!(problem instanceof KafkaProblem)) throw problem;
    for (const partition of asked) {
      partition.inFlight = false;
      this.#setBack(partition, problem);
    }
  }

  // The partition has to find its leader again, unless that has failed for too long.
  #setBack(partition: FetchedPartition, problem: KafkaProblem): void {
    partition.leaderless = true;
    const failingMs = partition.failed(this.#parts.clock.now());
    const hopeless = problem.kind === "fatal" || problem.kind === "fenced" || failingMs > this.#options.failureTimeoutMs;
    if (hopeless) this.#fail(toMillraceError(problem, `topic ${partition.topic}, partition ${partition.partition}`));
  }

  #receive(asked: readonly FetchedPartition[], answer: FetchAnswer): void {
    const lease = new AnswerLease(answer, (bytes) => {
      this.#bufferedBytes -= bytes;
      this.#pump();
    });
    this.#bufferedBytes += lease.bytes.length;
    lease.take();
    const answered = new Map(answer.partitions.map((each) => [`${each.topic}/${each.partition}`, each]));
    for (const partition of asked) {
      partition.inFlight = false;
      const result = answered.get(`${partition.topic}/${partition.partition}`);
      if (result !== undefined && this.#bySplit.get(partition.splitId) === partition) this.#apply(partition, result, lease);
    }
    const served = new Set(asked.filter((each) => each.pieces.length > 0));
    if (served.size > 0) this.#order = [...this.#order.filter((each) => !served.has(each)), ...served];
    lease.give();
    this.#notify();
  }

  #apply(partition: FetchedPartition, result: Answered, lease: AnswerLease): void {
    if (result.errorCode === kafkaCode.offsetOutOfRange) this.#outOfRange(partition);
    else if (result.errorCode !== kafkaCode.none) {
      const problem = problemOf(result.errorCode, `Fetch of ${partition.topic}/${partition.partition}`);
      if (kindOfCode(result.errorCode) !== "fatal")
        this.#parts.log.debug("fetch refused", { splitId: partition.splitId, reason: problem.message });
      this.#setBack(partition, problem);
    } else if (result.divergence !== undefined) this.#truncated(partition, result.divergence);
    else this.#accept(partition, result, lease);
  }

  #accept(partition: FetchedPartition, result: Answered, lease: AnswerLease): void {
    partition.succeeded();
    partition.endOffset = this.#options.isolation === "read_committed" ? result.lastStableOffset : result.highWatermark;
    const { recordsStart: start, recordsEnd } = result;
    const span = spanBatches(lease.bytes, start, recordsEnd, partition.offset);
    if (span === undefined) {
      // A batch above the limits comes whole only to the first partition of a request: ask for more the next time.
      if (recordsEnd > start) partition.maxBytes = Math.min(mostPartitionBytes, partition.maxBytes * 2);
      return;
    }
    lease.take();
    partition.pieces.push({ lease, start, end: span.end, fromOffset: partition.offset, aborted: result.aborted });
    partition.offset = span.nextOffset;
    partition.lastEpoch = span.leaderEpoch;
    partition.maxBytes = this.#options.maxPartitionBytes;
  }

  // A broker that has only just begun to lead may not know its own end yet, so its word alone does not move a position.
  #outOfRange(partition: FetchedPartition): void {
    const { clock, client, log } = this.#parts;
    const patient = partition.failed(clock.now()) < Math.min(this.#options.failureTimeoutMs, aboveEndPatienceMs);
    partition.inFlight = true;
    findLostOffset(client, partition, this.#options.onOffsetOutOfRange, this.#options.isolation, patient)
      .then((toOffset) => {
        partition.inFlight = false;
        if (toOffset === undefined) partition.leaderless = true;
        else {
          const { splitId, offset: fromOffset } = partition;
          log.warn("offset out of range, going on elsewhere", { splitId, fromOffset, toOffset, policy: this.#options.onOffsetOutOfRange });
          partition.offset = toOffset;
          partition.lastEpoch = -1;
        }
        this.#pump();
      })
      .catch((error: unknown) => this.#fail(error));
  }

  #truncated(partition: FetchedPartition, divergence: NonNullable<Answered["divergence"]>): void {
    const { splitId, offset, lastEpoch } = partition;
    if (this.#options.onOffsetOutOfRange === "fail") {
      this.#fail(logTruncated(splitId, offset, lastEpoch, divergence));
      return;
    }
    this.#parts.log.warn("log truncated, going on from its end", { splitId, fromOffset: offset, toOffset: divergence.endOffset });
    partition.offset = Math.min(offset, divergence.endOffset);
    partition.lastEpoch = divergence.epoch;
  }

  // One refresh at a time; each ends with a pump, which begins the next one if leaders are still missing.
  #refresh(): void {
    if (this.#refreshing) return;
    this.#refreshing = true;
    this.#findLeaders()
      .catch((error: unknown) => this.#fail(error))
      .finally(() => {
        this.#refreshing = false;
        this.#pump();
      });
  }

  async #findLeaders(): Promise<void> {
    const failures = Math.max(...this.#order.filter((each) => each.leaderless).map((each) => each.failures));
    if (failures > 0) await sleep(this.#parts.clock, retryDelayMs(failures - 1, this.#parts.random));
    const wanted = this.#order.filter((each) => each.leaderless);
    if (this.#closed || wanted.length === 0) return;
    const topics = await this.#parts.client.topics([...new Set(wanted.map((each) => each.topic))]);
    const byName = new Map(topics.map((topic) => [topic.name, topic]));
    for (const partition of wanted) {
      const topic = byName.get(partition.topic);
      if (topic === undefined) continue;
      if (partition.topicId !== "" && partition.topicId !== topic.topicId) throw topicRecreated(partition.splitId, partition.topic);
      partition.topicId = topic.topicId;
      const leader = this.#parts.client.leaderOf(partition.topic, partition.partition);
      if (leader === undefined || leader.leaderId < 0) {
        this.#setBack(partition, problemOf(5, `partition ${partition.partition} of ${partition.topic}`));
        continue;
      }
      partition.leaderId = leader.leaderId;
      partition.leaderEpoch = leader.leaderEpoch;
      partition.leaderless = false;
    }
  }
}
