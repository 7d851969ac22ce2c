// Finds the partitions of a source's topics, and where each begins.
import type { DividedSplit, SourceSplit, SplitEnumerator } from "../../../core/ports/source.ts";
import type { KafkaClient, OffsetQuery } from "../client/kafka-client.ts";
import { splitIdOf } from "./source-options.ts";
import type { KafkaSourceConfig } from "./source-options.ts";
import { partitionSplit, type SplitPosition } from "./split-position.ts";

interface Found {
  readonly id: string;
  readonly topic: string;
  readonly partition: number;
  readonly topicId: string;
}

export class PartitionEnumerator implements SplitEnumerator {
  readonly intervalMs: number;
  readonly #config: KafkaSourceConfig;
  readonly #client: KafkaClient;

  constructor(config: KafkaSourceConfig, client: KafkaClient) {
    this.#config = config;
    this.#client = client;
    this.intervalMs = config.discoveryIntervalMs;
  }

  async discover(known: ReadonlySet<string>): Promise<readonly SourceSplit[]> {
    const found: Found[] = [];
    for (const { name, topicId, partitions } of await this.#client.topics(this.#config.topics)) {
      for (const { partition } of partitions) {
        const id = splitIdOf(name, partition);
        if (!known.has(id)) found.push({ id, topic: name, partition, topicId });
      }
    }
    if (found.length === 0) return [];
    // A partition that appears while the job runs, or that its snapshot does not know, has only records that nobody has read.
    const starts = known.size > 0 ? await this.#ends(found, "earliest") : await this.#starts(found);
    const ends = await this.#endOffsets(found);
    return found.map(({ id, topicId }) => {
      const endOffset = ends?.get(id);
      const position: SplitPosition = {
        offset: starts.get(id) ?? 0,
        leaderEpoch: -1,
        topicId,
        ...(endOffset === undefined ? {} : { endOffset }),
      };
      return { id, position };
    });
  }

  async #starts(found: readonly Found[]): Promise<ReadonlyMap<string, number>> {
    const { startFrom, otherwise, groupId } = this.#config;
    if (startFrom === "earliest" || startFrom === "latest") return this.#ends(found, startFrom);
    let given: Map<string, number>;
    if (startFrom === "group") {
      const offsets = await this.#client.groupOffsets(groupId as string, found);
      given = new Map(offsets.map((each) => [splitIdOf(each.topic, each.partition), each.offset]));
    } else if ("offsets" in startFrom) given = new Map(Object.entries(startFrom.offsets));
    else given = new Map([...(await this.#ends(found, startFrom.timestampMs))].filter(([, offset]) => offset >= 0));
    const others = found.filter((each) => !given.has(each.id));
    return new Map([...given, ...(await this.#ends(others, otherwise))]);
  }

  async #ends(found: readonly Found[], at: OffsetQuery): Promise<ReadonlyMap<string, number>> {
    if (found.length === 0) return new Map();
    const listed = await this.#client.listOffsets(
      found.map(({ topic, partition }) => ({ topic, partition, at })),
      this.#config.fetcher.isolation,
    );
    return new Map(listed.map((each) => [splitIdOf(each.topic, each.partition), each.offset]));
  }

  async #endOffsets(found: readonly Found[]): Promise<ReadonlyMap<string, number> | undefined> {
    const { bounded } = this.#config;
    if (bounded === undefined || bounded === false) return undefined;
    const latest = await this.#ends(found, "latest");
    return bounded === true ? latest : new Map([...latest, ...Object.entries(bounded.offsets)]);
  }

  async withEnds(splits: readonly SourceSplit[]): Promise<readonly SourceSplit[]> {
    const found = splits.map((split) => ({ ...partitionSplit(split, "bounded run"), position: split.position as SplitPosition }));
    // The client must know the topics before it is asked for their ends.
    await this.#client.topics(this.#config.topics);
    const ends = await this.#ends(found, "latest");
    return found.map(({ id, position }) => ({ id, position: { ...position, endOffset: Math.max(position.offset, ends.get(id) ?? 0) } }));
  }

  withoutEnds(splits: readonly SourceSplit[]): readonly SourceSplit[] {
    return splits.map(({ id, position }) => {
      const { endOffset: _end, ...going } = position as SplitPosition;
      return { id, position: going };
    });
  }

  divide({ id, position }: SourceSplit, lengths: readonly number[]): DividedSplit {
    const whole = position as SplitPosition;
    const { endOffset } = whole;
    let { offset, leaderEpoch } = whole;
    const pieces = lengths.map((length) => {
      const piece: SplitPosition = { ...whole, offset, leaderEpoch, endOffset: Math.min(offset + length, endOffset ?? Infinity) };
      offset = piece.endOffset as number;
      // Of the record in front of it nothing is known.
      leaderEpoch = -1;
      return { id, position: piece };
    });
    return {
      pieces,
      behind: (last) => {
        const [going] = this.withoutEnds([last]) as [SourceSplit];
        return endOffset === undefined ? going : { id, position: { ...(going.position as SplitPosition), endOffset } };
      },
    };
  }

  close(): Promise<void> {
    return this.#client.close();
  }
}
