// Follows one partition of a changelog: reads its records into a copy, from where the copy stands.
import { PartitionReader } from "../../../connectors/kafka/source/partition-reader.ts";
import { splitIdOf } from "../../../connectors/kafka/source/source-options.ts";
import type { SplitPosition } from "../../../connectors/kafka/source/split-position.ts";
import { sharedFetches } from "../exchange/shared-fetches.ts";
import type { TaskHost } from "../task/task-host.ts";
import type { ChangelogCopy } from "./changelog-copy.ts";

const pollRecords = 2048;

export class ChangelogFollower {
  readonly topic: string;
  readonly partition: number;
  readonly copy: ChangelogCopy;
  readBytes = 0;
  readRecords = 0;
  readonly #host: TaskHost;
  readonly #reader: PartitionReader;
  /** Where the partition ended when it was last asked. */
  #endOffset = Number.NaN;

  private constructor(host: TaskHost, topic: string, partition: number, copy: ChangelogCopy) {
    this.#host = host;
    this.topic = topic;
    this.partition = partition;
    this.copy = copy;
    this.#reader = new PartitionReader({
      client: { commitGroupOffsets: async () => undefined, close: async () => undefined },
      fetcher: sharedFetches(host.restoreFetcher, "changelog"),
      readCommitted: host.isolation === "read_committed",
      groupId: undefined,
      uid: topic,
      log: host.log,
    });
  }

  /** Begins where the copy stands, or at the beginning where the log no longer has what follows it. */
  static async open(host: TaskHost, topic: string, partition: number, copy: ChangelogCopy): Promise<ChangelogFollower> {
    const follower = new ChangelogFollower(host, topic, partition, copy);
    const [start] = await host.client.listOffsets([{ topic, partition, at: "earliest" }], host.isolation);
    const earliest = start?.offset ?? 0;
    await follower.askEnd();
    // Another log than the one that was copied, or one that has lost its end: nothing of the copy can be trusted.
    if (copy.position > follower.#endOffset) copy.clear();
    const offset = Math.max(copy.position, earliest);
    follower.#reader.assign([{ id: splitIdOf(topic, partition), position: { offset, leaderEpoch: -1, topicId: "" } }]);
    return follower;
  }

  /** Asks where the partition ends now. */
  async askEnd(): Promise<void> {
    const { topic, partition } = this;
    const [end] = await this.#host.client.listOffsets([{ topic, partition, at: "latest" }], this.#host.isolation);
    this.#endOffset = end?.offset ?? 0;
  }

  get position(): number {
    const [split] = this.#reader.snapshot();
    return (split as { readonly position: SplitPosition }).position.offset;
  }

  /** Records between the copy and the end as far as it is known. */
  get lag(): number {
    const known = this.#reader.lag().get(splitIdOf(this.topic, this.partition)) ?? 0;
    return Math.max(known, this.#endOffset - this.position, 0);
  }

  /** The end that was asked for has been reached. */
  get reachedEnd(): boolean {
    return this.position >= this.#endOffset;
  }

  /** How long to wait before the next step so that restores stay below their limit, ms. */
  get waitMs(): number {
    const { restoreLimit } = this.#host;
    return restoreLimit.available(1) < 1 ? restoreLimit.waitMs() : 0;
  }

  /** Copies some records. False when there were none. */
  step(): boolean {
    const before = this.readBytes;
    const polled = this.#reader.poll(pollRecords);
    if (polled?.kind === "raw") {
      const { bytes, count, keyStart, keyEnd, valueStart, valueEnd } = polled.records;
      for (let i = 0; i < count; i++) {
        const key = bytes.subarray(keyStart[i], keyEnd[i]);
        const value = (valueStart[i] as number) < 0 ? null : bytes.subarray(valueStart[i], valueEnd[i]);
        this.copy.apply(key, value);
        this.readBytes += key.length + (value?.length ?? 0);
      }
      this.readRecords += count;
    }
    this.#host.restoreLimit.take(this.readBytes - before);
    if (this.position !== this.copy.position) this.copy.advance(this.position);
    return polled !== null;
  }

  /** Settles when `step` may find something. */
  ready(): Promise<void> {
    return this.#reader.ready();
  }

  close(): Promise<void> {
    return this.#reader.close();
  }
}
