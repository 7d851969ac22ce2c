// One source of a query whose splits executors read: the driver finds the splits, shares them out, and knows where each batch begins and ends.
import type { Clock } from "../../../../base/clock.ts";
import { messageOf } from "../../../../base/errors.ts";
import type { Log } from "../../../../base/log.ts";
import type { SourceContext, SourceSplit, SplitEnumerator } from "../../../../core/ports/source.ts";
import type { SourceRange } from "../../log/batch-log.ts";
import { boundedSplits, type Feed, leavesAnyTime, type RestoredFeed } from "../../run/source-feed.ts";
import type { FeedBatch } from "../../run/split-reader.ts";
import { SplitQuotas } from "../../run/split-quotas.ts";
import type { ScanStage } from "../../stages/stage.ts";
import type { OutputRef, ReadResult, ReadTask, SplitGroup } from "../messages.ts";
import { behindPieces, type DividedTake, divideSplits, lagsBehind, pieceTasks } from "./divide-splits.ts";
import type { ExecutorPool } from "./executor-pool.ts";
import type { StepRunner } from "./step-runner.ts";

export interface RemoteFeedParts {
  readonly scan: ScanStage;
  readonly jobName: string;
  readonly bounded: boolean;
  readonly partitions: number;
  readonly minPartitions: number;
  readonly pool: ExecutorPool;
  readonly steps: StepRunner;
  readonly clock: Clock;
  readonly log: Log;
}

interface Placed {
  readonly group: SplitGroup;
  readonly executorId: string | undefined;
}

/** How long `ready` waits between two looks, ms. */
const lookMs = 20;
/** The same where the connector does not know what waits. */
const blindMs = 200;
/** How long a connector may take to learn what waits, ms. */
const learnMs = 1000;

export class RemoteFeed implements Feed {
  readonly uid: string;
  readonly latestMs: Map<string, number> = new Map();
  /** The latest event time of the batch that SQL of watermarks found, by its text. */
  readonly latestSqlMs: Map<string, number> = new Map();
  malformed = 0;
  readonly #parts: RemoteFeedParts;
  readonly #enumerator: SplitEnumerator;
  readonly #known = new Set<string>();
  #splits: readonly SourceSplit[] = [];
  /** Splits of these that have been read to their end. */
  readonly #ended = new Set<string>();
  #discovered: SourceSplit[] = [];
  #discovering: Promise<void> | undefined;
  #cancelDiscovery: (() => void) | undefined;
  #lags: Readonly<Record<string, number>> | undefined;
  /** Of the batch: each group's result and how it is made again. */
  #results: { result: ReadResult; readonly replay: () => ReadTask }[] = [];
  #divisions = 0;
  #mending = new Map<string, Promise<void>>();
  #grouping = {
    version: -1,
    number: 0,
    names: [] as readonly string[],
    ids: "",
    placed: [] as readonly { ids: readonly string[]; name: string; executorId: string | undefined }[],
  };
  #isClosed = false;

  private constructor(parts: RemoteFeedParts, enumerator: SplitEnumerator) {
    this.#parts = parts;
    this.uid = parts.scan.uid;
    this.#enumerator = enumerator;
  }

  static async open(parts: RemoteFeedParts, restored: RestoredFeed | undefined): Promise<RemoteFeed> {
    const { scan, jobName, clock, log } = parts;
    const context: SourceContext = { jobName, uid: scan.uid, subtask: 0, clock, log: log.child({ uid: scan.uid }) };
    const enumerator = await scan.plan.relation.source.openEnumerator(context, restored?.enumerator);
    const feed = new RemoteFeed(parts, enumerator);
    for (const id of restored?.finished ?? []) feed.#known.add(id);
    await feed.#add(restored?.splits ?? []);
    await feed.#add(await enumerator.discover(feed.#known));
    feed.#scheduleDiscovery();
    return feed;
  }

  async #add(found: readonly SourceSplit[]): Promise<void> {
    if (found.length === 0) return;
    const splits = await boundedSplits(this.#enumerator, this.#parts.bounded, found);
    for (const { id } of splits) this.#known.add(id);
    this.#splits = [...this.#splits, ...splits];
  }

  #scheduleDiscovery(): void {
    const { intervalMs } = this.#enumerator;
    if (this.#parts.bounded || intervalMs === Infinity || this.#isClosed) return;
    this.#cancelDiscovery = this.#parts.clock.after(intervalMs, () => {
      this.#discovering = this.#enumerator
        .discover(this.#known)
        .then(
          (found) => {
            for (const split of found) this.#known.add(split.id);
            this.#discovered.push(...found);
          },
          (error: unknown) => this.#parts.log.warn("split discovery failed", { uid: this.uid, reason: messageOf(error) }),
        )
        .then(() => this.#scheduleDiscovery());
    });
  }

  get exhausted(): boolean {
    return (this.#parts.bounded || this.#enumerator.intervalMs === Infinity) && this.#open.length === 0 && this.#discovered.length === 0;
  }

  get holdsTime(): boolean {
    return leavesAnyTime(this.#parts.scan.plan.relation.source) && this.#open.length > 0;
  }

  get #open(): readonly SourceSplit[] {
    return this.#splits.filter(({ id }) => !this.#ended.has(id));
  }

  get splits(): readonly SourceSplit[] {
    return this.#splits;
  }

  /** Where the rows of the batch are that follow from this source's records. */
  get outputs(): readonly OutputRef[] {
    return this.#results.map(({ result }) => result.output);
  }

  lag(): number | undefined {
    return this.#lags === undefined ? undefined : Object.values(this.#lags).reduce((sum, lag) => sum + lag, 0);
  }

  // As many groups as there are slots for them; they stay where they are while nobody comes or goes.
  #groups(): readonly Placed[] {
    const { pool } = this.#parts;
    const grouping = this.#grouping;
    const open = this.#open;
    const ids = open.map(({ id }) => id).join("\n");
    if (grouping.version !== pool.version || grouping.ids !== ids) {
      const slots = pool.active.flatMap((id) => Array.from({ length: pool.slotsOf(id) }, () => id));
      // Files that follow each other in time go to one reader: another one would be ahead of it, and make its rows late.
      const count = this.#parts.scan.plan.relation.source.inTimeOrder === true ? 1 : Math.max(1, Math.min(slots.length, open.length));
      const number = grouping.number + 1;
      const placed = Array.from({ length: count }, (_, index) => ({
        ids: open.filter((_split, at) => at % count === index).map(({ id }) => id),
        name: `${this.uid}#${number}-${index}`,
        executorId: slots[index],
      }));
      this.#release([], grouping.names);
      this.#grouping = { version: pool.version, number, names: placed.map(({ name }) => name), ids, placed };
    }
    const byId = new Map(open.map((split) => [split.id, split]));
    return this.#grouping.placed
      .filter((one) => one.ids.length > 0)
      .map((one) => ({
        group: { scan: this.uid, name: one.name, splits: one.ids.map((id) => byId.get(id) as SourceSplit) },
        executorId: one.executorId,
      }));
  }

  #release(outputs: readonly string[], groups: readonly string[]): void {
    if (outputs.length + groups.length > 0) this.#parts.pool.broadcast(() => ({ kind: "release", outputs, groups }));
  }

  async ready(): Promise<void> {
    // The driver's loop asks again and again; whoever waits here is let go when the query ends.
    while (!this.#isClosed) {
      const lags = await this.#look(0);
      if (lags === undefined || Object.values(lags).some((lag) => lag > 0) || this.#discovered.length > 0) {
        if (lags === undefined) await this.#pause(blindMs);
        return;
      }
      await this.#pause(lookMs);
    }
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#parts.clock.after(ms, resolve));
  }

  // What waits in all splits; undefined where that cannot be known now.
  async #look(maxMs: number): Promise<Readonly<Record<string, number>> | undefined> {
    const { pool, bounded } = this.#parts;
    const looked = await Promise.all(
      this.#groups().map(({ group, executorId }) => (executorId === undefined ? undefined : pool.look(executorId, group, bounded, maxMs))),
    );
    const all: Record<string, number> = {};
    for (const lags of looked) {
      if (lags === undefined || lags === null) return undefined;
      Object.assign(all, lags);
    }
    this.#lags = all;
    return all;
  }

  async poll(maxRecords: number, maxMs: number): Promise<FeedBatch> {
    await this.#add(this.#discovered.splice(0));
    this.#forget();
    const { bounded, partitions, steps, scan } = this.#parts;
    const minPartitions = scan.plan.relation.options.minPartitions ?? this.#parts.minPartitions;
    const from = this.#splits;
    if (this.#open.length === 0) return this.#took([], from);
    const lags = await this.#look(learnMs);
    const waiting = lags === undefined ? undefined : Object.values(lags).reduce((sum, lag) => sum + lag, 0);
    // Splits with an end have to be read to be known as ended.
    if (waiting === 0 && !bounded) return this.#took([], from);
    const quotas =
      lags === undefined || maxRecords === Infinity ? undefined : SplitQuotas.of(new Map(Object.entries(lags)), maxRecords)?.left;
    const divided = divideSplits(this.#enumerator, this.#open, quotas ?? new Map(Object.entries(lags ?? {})), minPartitions);
    if (divided !== undefined) return this.#pollDivided(divided, from);
    const groups = this.#groups();
    const share = lags === undefined && maxRecords !== Infinity ? Math.max(1, Math.floor(maxRecords / groups.length)) : null;
    const tasks = groups.map(({ group, executorId }) => {
      const own = quotas === undefined ? null : Object.fromEntries(group.splits.map(({ id }) => [id, quotas.get(id) ?? 0]));
      const task: ReadTask = { kind: "read", group, bounded, partitions, work: { kind: "poll", quotas: own, maxRecords: share, maxMs } };
      return { preferred: executorId, make: (): ReadTask => task };
    });
    return this.#took((await steps.run(tasks)) as readonly ReadResult[], from);
  }

  // Readers of groups stay where the batch began, so new ones are opened behind it.
  async #pollDivided(divided: readonly DividedTake[], from: readonly SourceSplit[]): Promise<FeedBatch> {
    const tasks = pieceTasks(divided, this.uid, this.#divisions++, this.#parts.partitions);
    const names = tasks.map(({ group }) => group.name);
    let results: readonly ReadResult[];
    try {
      results = (await this.#parts.steps.run(tasks.map((task) => ({ preferred: undefined, make: () => task })))) as readonly ReadResult[];
    } finally {
      this.#release([], names);
      this.#grouping.version = -1;
    }
    this.#take(results);
    const { splits, counts, records } = behindPieces(divided, results, from);
    [this.#splits, this.#lags] = [splits, lagsBehind(divided, this.#lags)];
    return { range: { from, to: splits, counts }, records };
  }

  #took(results: readonly ReadResult[], from: readonly SourceSplit[]): FeedBatch {
    this.#take(results);
    const counts = Object.assign({}, ...results.map(({ range }) => range.counts)) as Record<string, number>;
    const records = results.reduce((sum, result) => sum + result.records, 0);
    if (results.length > 0) {
      const read = results.flatMap(({ range }) => range.to);
      const others = from.filter(({ id }) => this.#ended.has(id) && !read.some((split) => split.id === id));
      for (const id of results.flatMap(({ finished }) => finished)) this.#ended.add(id);
      this.#splits = [...read, ...others].sort((a, b) => (a.id < b.id ? -1 : 1));
      if (this.#lags !== undefined) this.#lags = Object.assign({}, this.#lags, ...results.map(({ lags }) => lags ?? {}));
    }
    return { range: { from, to: this.#splits, counts }, records };
  }

  async replay(range: SourceRange): Promise<FeedBatch> {
    const before = this.#splits;
    this.#forget();
    const wanted = range.from.filter(({ id }) => (range.counts[id] ?? 0) > 0);
    const splits = this.#enumerator.withoutEnds?.(wanted) ?? wanted;
    this.#ended.clear();
    this.#splits = splits;
    const tasks = this.#groups().map(({ group, executorId }) => ({
      preferred: executorId,
      make: () => this.#replayOf(group, range.counts),
    }));
    const results = (await this.#parts.steps.run(tasks)) as readonly ReadResult[];
    this.#take(results);
    this.#splits = [];
    await this.#add(range.to);
    await this.#add(before.filter(({ id }) => !range.to.some((split) => split.id === id)));
    return { range, records: results.reduce((sum, result) => sum + result.records, 0) };
  }

  #replayOf(group: SplitGroup, counts: Readonly<Record<string, number>>): ReadTask {
    const { bounded, partitions } = this.#parts;
    const own = Object.fromEntries(group.splits.map(({ id }) => [id, counts[id] ?? 0]));
    return { kind: "read", group, bounded, partitions, work: { kind: "replay", counts: own } };
  }

  #take(results: readonly ReadResult[]): void {
    const newest = (target: Map<string, number>, found: Readonly<Record<string, number | null>>): void => {
      for (const [name, ms] of Object.entries(found)) target.set(name, Math.max(target.get(name) ?? -Infinity, ms ?? -Infinity));
    };
    this.latestMs.clear();
    this.latestSqlMs.clear();
    for (const result of results) {
      newest(this.latestMs, result.latestMs);
      newest(this.latestSqlMs, result.latestSqlMs);
      this.malformed += result.malformed;
    }
    this.#results = results
      .filter(({ records }) => records > 0)
      .map((result) => ({
        result,
        replay: () => {
          // Read again elsewhere, under a name of its own: the reader that goes on stays as it is.
          const splits = this.#enumerator.withoutEnds?.(result.range.from) ?? result.range.from;
          return this.#replayOf({ scan: this.uid, name: `${this.uid}#again`, splits }, result.range.counts);
        },
      }));
  }

  /** An output of the batch is gone with its executor: its records are read again elsewhere. */
  mend(missing: OutputRef): Promise<void> {
    const lost = this.#results.find(
      ({ result }) => result.output.output === missing.output && result.output.executorId === missing.executorId,
    );
    if (lost === undefined) return Promise.resolve();
    const key = `${missing.executorId} ${missing.output}`;
    let mending = this.#mending.get(key);
    if (mending === undefined) {
      this.#parts.log.info("reading records again whose rows were lost", { uid: this.uid, executorId: missing.executorId });
      mending = this.#parts.steps
        .run([{ preferred: undefined, make: lost.replay }])
        .then(([result]) => {
          lost.result = { ...lost.result, output: (result as ReadResult).output };
        })
        .finally(() => this.#mending.delete(key));
      this.#mending.set(key, mending);
    }
    return mending;
  }

  #forget(): void {
    this.#release(
      this.#results.map(({ result }) => result.output.output),
      [],
    );
    this.#results = [];
  }

  state(): { readonly enumerator: unknown; readonly finished: readonly string[] } {
    const held = new Set(this.#splits.map(({ id }) => id));
    const waiting = new Set(this.#discovered.map(({ id }) => id));
    return {
      enumerator: this.#enumerator.snapshot?.(),
      finished: [...this.#known].filter((id) => !held.has(id) && !waiting.has(id)),
    };
  }

  // Executors tell the outside when they hear that the batch is published.
  async committed(): Promise<void> {}

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#cancelDiscovery?.();
    await this.#discovering;
    await this.#enumerator.close();
  }
}
