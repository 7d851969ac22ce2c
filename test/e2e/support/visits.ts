// Visits for the cluster tests, made from a seed, and what every correct run gives for them: each visitor's visits, numbered from 1, each once.
import { random } from "../../bench/bids.ts";
import { followCommitted } from "../../support/consume.ts";
import { produceBlock } from "../../support/produce.ts";
import { eventually } from "./eventually.ts";
import type { PodServers } from "./servers.ts";

const PARTITIONS = 4;

export interface Topics {
  readonly input: string;
  readonly output: string;
}

/** Counts what was produced, so that it can tell what must come out. */
export class Visits {
  readonly topics: Topics;
  readonly #servers: PodServers;
  readonly #next: () => number;
  readonly #visitors: number;
  readonly #perVisitor = new Map<string, number>();
  readonly #seen: Seen[] = [];
  #follower: { stop(): void } | undefined;
  #produced = 0;

  constructor(servers: PodServers, name: string, visitors: number, seed: number) {
    this.#servers = servers;
    this.#visitors = visitors;
    this.#next = random(seed);
    this.topics = { input: `${name}-in`, output: `${name}-out` };
  }

  get produced(): number {
    return this.#produced;
  }

  /** Makes the topics and begins to follow the output. */
  async createTopics(): Promise<void> {
    await this.#servers.kafka.createTopics(
      Object.values(this.topics).map((name: string) => ({ name, partitions: PARTITIONS, replicationFactor: 1, configs: {} })),
    );
    this.output();
  }

  async produce(count: number): Promise<void> {
    const bytes = Buffer.allocUnsafe(count * 64);
    const starts = new Int32Array(count);
    const ends = new Int32Array(count);
    let at = 0;
    for (let i = 0; i < count; i++) {
      const visitor = `visitor-${Math.floor(this.#next() * this.#visitors)}`;
      this.#perVisitor.set(visitor, (this.#perVisitor.get(visitor) ?? 0) + 1);
      starts[i] = at;
      at += bytes.write(`{"visitor":"${visitor}","page":"/p${Math.floor(this.#next() * 100)}"}`, at, "latin1");
      ends[i] = at;
    }
    await produceBlock(this.#servers.kafka, this.topics.input, PARTITIONS, { bytes: bytes.subarray(0, at), starts, ends });
    this.#produced += count;
  }

  /** Committed rows of the output by now, as Kafka's own consumer reads them, each with the time at which it was seen. */
  output(): readonly Seen[] {
    this.#follower ??= followCommitted(this.#servers.brokers, this.topics.output, ({ value }) =>
      this.#seen.push({ ...(JSON.parse(value) as Numbered), atMs: Date.now() }),
    );
    return this.#seen;
  }

  /** Every visit up to now; a row beyond it tells of a later one. */
  mark(): ReadonlyMap<string, number> {
    return new Map(this.#perVisitor);
  }

  stop(): void {
    this.#follower?.stop();
  }

  /** What differs between the output and the reference; empty when they are equal. */
  differences(): readonly string[] {
    const rows = this.output();
    const missing = new Set<string>();
    for (const [visitor, visits] of this.#perVisitor) for (let number = 1; number <= visits; number++) missing.add(`${visitor} ${number}`);
    const extra: string[] = [];
    for (const { visitor, number } of rows) if (!missing.delete(`${visitor} ${number}`)) extra.push(`twice or never: ${visitor} ${number}`);
    return [...[...missing].map((one) => `missing: ${one}`), ...extra];
  }
}

export interface Seen extends Numbered {
  readonly atMs: number;
}

interface Numbered {
  readonly visitor: string;
  readonly number: number;
  readonly version: number;
}

/** Waits until everything produced has come out, and throws unless each has exactly once. */
export async function untilExact(visits: Visits, seed: number): Promise<void> {
  const all = async (): Promise<true | undefined> => (visits.output().length >= visits.produced ? true : undefined);
  const problem = await eventually("all rows are out", all, { timeoutMs: 300_000, everyMs: 100 }).then(() => "", String);
  const found = visits.differences();
  if (found.length > 0) throw new Error(`${found.length} differences (seed ${seed}), such as ${found.slice(0, 5).join("; ")}; ${problem}`);
}

/** Visits keep coming while `work` goes on. */
export async function underLoad(visits: Visits, work: () => Promise<void>): Promise<void> {
  let goesOn = true;
  const producing = (async () => {
    while (goesOn) {
      await visits.produce(500);
      await new Promise((resolve) => setTimeout(resolve, 250));
    }
  })();
  // Told when the work is done.
  producing.catch(() => {});
  try {
    await work();
  } finally {
    goesOn = false;
    await producing;
  }
}
