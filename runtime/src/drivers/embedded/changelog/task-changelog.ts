// The changelog of one operator of a task that runs: what a commit changes goes to its topic, and, once it is committed, into its copy.
import type { Clock } from "../../../base/clock.ts";
import type { PartitionQueue } from "../../../connectors/kafka/sink/partition-queue.ts";
import type { RecordProducer } from "../../../connectors/kafka/sink/record-producer.ts";
import type { OperatorCapture } from "../../task/captures.ts";
import type { CapturedList } from "../../task/operator-state-registry.ts";
import { ChangelogEncoder, type TakeRecord } from "./changelog-codec.ts";
import type { ChangelogCopy } from "./changelog-copy.ts";

const noHeaders: readonly [] = [];
const nothing = new Uint8Array(0);

export class TaskChangelog {
  readonly #queue: PartitionQueue;
  readonly #clock: Clock;
  readonly #encoder: ChangelogEncoder = new ChangelogEncoder();
  /** What the topic has of each list that is not keyed. */
  readonly #lists = new Map<string, string>();
  #copy: ChangelogCopy | undefined;
  /** Where the topic goes on behind what was stored of the commit under way. */
  #storedTo = 0;
  readonly #take: TakeRecord;

  constructor(producer: RecordProducer, queue: PartitionQueue, clock: Clock) {
    this.#queue = queue;
    this.#clock = clock;
    this.#take = (key, value) => {
      const bytes = value?.buffer ?? nothing;
      const valueStart = value === null ? -1 : 0;
      producer.append(queue, this.#clock.now(), key.buffer, 0, key.length, bytes, valueStart, value?.length ?? 0, noHeaders);
      this.#copy?.apply(key.view(), value?.view() ?? null);
    };
  }

  /** Keeps `copy`, which holds the changelog up to now, up to date from here on. */
  keep(copy: ChangelogCopy): void {
    this.#copy = copy;
  }

  /** Sends what a capture holds. */
  write({ keyed, lists }: OperatorCapture): void {
    if (keyed !== undefined) this.#encoder.blocks(keyed.tables, keyed.blocks, this.#take);
    keyed?.release?.();
    for (const list of lists) this.#writeList(list);
  }

  #writeList(list: CapturedList): void {
    const content = JSON.stringify(list.entries.map((each) => [each.key, Buffer.from(each.value).toString("base64")]));
    // What the topic has of a list from before this task's life is not known: the first one is always written.
    if (this.#lists.get(list.name) === content) return;
    this.#lists.set(list.name, content);
    this.#encoder.list(list, this.#take);
  }

  /** A batch was stored in some partition, which goes on at `nextOffset`. */
  stored(topic: string, partition: number, nextOffset: number): void {
    if (topic === this.#queue.topic && partition === this.#queue.partition) this.#storedTo = Math.max(this.#storedTo, nextOffset);
  }

  /** All that was written is committed: the copy has it too, with its place in the topic. */
  committed(): void {
    if (this.#copy !== undefined && this.#storedTo > this.#copy.position) this.#copy.advance(this.#storedTo);
  }
}
