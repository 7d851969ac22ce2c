// Queries on executors: the same results as in the driver, whoever is lost when; state stays where it is, and is found again where it is not.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, describe, expect, test, vi } from "vitest";
import { type MemorySource, memorySource, values } from "../../../connectors/memory/index.ts";
import { int53, string, timestamp } from "../../../core/schema/field.ts";
import { type RowType, schema } from "../../../core/schema/schema.ts";
import type { DataFrame } from "../../../dataframe/data-frame.ts";
import { col, count, sum, window } from "../../../dataframe/expression/functions.ts";
import type { StreamQuery } from "../../../dataframe/query.ts";
import { Session } from "../../../dataframe/session.ts";
import type { OutputMode } from "../../../operators/frame/frame-aggregate.ts";
import type { QueryOptions } from "../query-options.ts";
import { StreamingQuery } from "../streaming-query.ts";
import { type OpenExecutor, openExecutor } from "./executor/open-executor.ts";

const Word = schema({ word: string(), n: int53(), at: timestamp() });
type Word = RowType<typeof Word>;

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function folder(): Promise<string> {
  const made = await mkdtemp(join(tmpdir(), "executors-"));
  opened.push(() => rm(made, { recursive: true, force: true }));
  return made;
}

type Make = (words: DataFrame<Word>, session: Session) => DataFrame<unknown>;

/** A query on executors of this process, over sources that the test fills. */
class World {
  readonly source: MemorySource<Word> = memorySource(Word, { bounded: false, splits: 4 });
  readonly written = new Map<number, readonly unknown[]>();
  readonly executors = new Map<string, OpenExecutor>();
  readonly directory: string;
  status: () => readonly object[] = () => [];
  query: StreamingQuery | undefined;
  port = 0;
  /** Tasks that are to share a batch, at least. */
  minPartitions: number | undefined;
  /** Called before a batch is written. */
  onBatch: (batchId: number) => void = () => {};
  #pushed = 0;
  readonly #make: Make;
  readonly #mode: OutputMode;

  private constructor(directory: string, make: Make, mode: OutputMode) {
    this.directory = directory;
    this.#make = make;
    this.#mode = mode;
  }

  static async start(
    make: Make,
    mode: OutputMode,
    executors: readonly string[],
    options: QueryOptions = {},
    minPartitions?: number,
  ): Promise<World> {
    const world = new World(await folder(), make, mode);
    world.minPartitions = minPartitions;
    opened.push(() => world.close());
    await world.drive(options);
    for (const id of executors) await world.join(id);
    return world;
  }

  #stream(): StreamQuery {
    const session = new Session();
    const words = session.readStream(this.source, { name: "words" });
    return this.#make(words, session).writeStream(
      {
        kind: "foreachBatch",
        fn: ({ batchId, rows }) => {
          this.onBatch(batchId);
          this.written.set(batchId, rows());
        },
      },
      { name: "tested", mode: this.#mode },
    );
  }

  get location(): string {
    return pathToFileURL(join(this.directory, "checkpoints")).href;
  }

  async drive(options: QueryOptions = {}): Promise<void> {
    this.query = await StreamingQuery.start(this.#stream(), {
      checkpointLocation: this.location,
      executors: {
        ...{ host: "127.0.0.1", port: this.port, partitions: 4, minPartitions: this.minPartitions },
        onListening: (port) => {
          this.port = port;
        },
        onPool: (status) => {
          this.status = status;
        },
      },
      ...options,
    });
  }

  async join(id: string): Promise<OpenExecutor> {
    const executor = await openExecutor(this.#stream(), {
      ...{ driver: `127.0.0.1:${this.port}`, executorId: id, host: "127.0.0.1" },
      ...{ checkpointLocation: this.location, directory: join(this.directory, id) },
    });
    this.executors.set(id, executor);
    return executor;
  }

  /** As a process that is killed: nothing is said, nothing is handed over. */
  async kill(id: string): Promise<void> {
    await this.executors.get(id)?.close();
    this.executors.delete(id);
  }

  async feed(...words: readonly Partial<Word>[]): Promise<readonly unknown[]> {
    const from = Math.max(-1, ...this.written.keys());
    for (const word of words) this.source.push({ word: "a", n: 1, at: 0, ...word }, { split: `split-${this.#pushed++ % 4}` });
    await this.query?.processAllAvailable();
    return [...this.written].filter(([id]) => id > from).flatMap(([, rows]) => rows);
  }

  async close(): Promise<void> {
    await this.query?.stop("immediate").catch(() => {});
    for (const id of [...this.executors.keys()]) await this.kill(id);
  }
}

const totals = (words: DataFrame<Word>): DataFrame<unknown> =>
  words.groupBy("word").agg((c) => ({ n: count(), total: sum(c.n) }), { name: "totals" });
const sorted = (rows: readonly unknown[]): string[] => rows.map((row) => JSON.stringify(row)).sort();
const many = (from: number, to: number): Partial<Word>[] =>
  Array.from({ length: to - from }, (_value, i) => ({ word: `w${(from + i) % 10}`, n: from + i, at: (from + i) * 100 }));
const expectedTotals = (to: number): string[] =>
  sorted(
    Array.from({ length: 10 }, (_value, k) => {
      const own = Array.from({ length: to }, (_one, i) => i).filter((i) => i % 10 === k);
      return { word: `w${k}`, n: own.length, total: own.reduce((all, one) => all + one, 0) };
    }),
  );

describe("on two executors", () => {
  test("an aggregate is what it is in the driver, over batches", async () => {
    const world = await World.start(totals, "update", ["a", "b"]);
    await world.feed(...many(0, 100));
    expect(sorted(await world.feed(...many(100, 300)))).toEqual(expectedTotals(300));
    const status = world.query?.lastProgress?.stateOperators[0];
    expect(status).toMatchObject({ uid: "totals", numRowsTotal: 10 });
    // Both had a part of the work, and each part of the state is at one of them.
    expect(world.status()).toHaveLength(2);
    expect(world.status()).toMatchObject([{ statePartitions: 2 }, { statePartitions: 2 }]);
  });

  test("windows are given once when the watermark passes, also without input", async () => {
    const windows = (words: DataFrame<Word>): DataFrame<unknown> =>
      words
        .withWatermark("at", "1 s")
        .groupBy((c) => ({ w: window(c.at, "10 s"), word: c.word }))
        .agg(() => ({ n: count() }))
        .select("w_start", "word", "n");
    const world = await World.start(windows, "append", ["a", "b"]);
    expect(await world.feed({ at: 1000 }, { at: 2000 }, { at: 3000, word: "b" })).toEqual([]);
    expect(sorted(await world.feed({ at: 25_000 }))).toEqual(
      sorted([
        { w_start: 0, word: "a", n: 2 },
        { w_start: 0, word: "b", n: 1 },
      ]),
    );
    expect(await world.feed({ at: 2000 })).toEqual([]);
    expect(world.query?.recentProgress.reduce((all, one) => all + (one.stateOperators[0]?.numRowsDroppedByWatermark ?? 0), 0)).toBe(1);
  });

  test("rows without state, joined with a table, are computed there", async () => {
    const named = (words: DataFrame<Word>, session: Session): DataFrame<unknown> => {
      const Name = schema({ word: string(), name: string() });
      const names = session.read(values(Name, [{ word: "a", name: "Anna" }]), { name: "names" });
      return words
        .filter((c) => c.n.gt(1))
        .join(names, ["word"])
        .select((c) => ({ name: c.name, twice: col<number>("n").times(2) }));
    };
    const world = await World.start(named, "append", ["a", "b"]);
    expect(sorted(await world.feed({ n: 1 }, { n: 2 }, { n: 3 }, { n: 4, word: "b" }))).toEqual(
      sorted([
        { name: "Anna", twice: 4 },
        { name: "Anna", twice: 6 },
      ]),
    );
  });

  test("two streams are joined: rows of both meet where their key is", async () => {
    const other = memorySource(Word, { bounded: false, splits: 2 });
    const joined = (words: DataFrame<Word>, session: Session): DataFrame<unknown> =>
      words
        .join(
          session.readStream(other, { name: "other" }).select((c) => ({ key: c.word, m: c.n })),
          (l, r) => l.word.eq(r.key),
          "inner",
          { name: "pairs" },
        )
        .select("word", "n", "m");
    const world = await World.start(joined, "append", ["a", "b"]);
    for (let i = 0; i < 8; i++) other.push({ word: `w${i}`, n: i * 100, at: 0 });
    await world.feed(...many(0, 8));
    await world.query?.processAllAvailable();
    const all = [...world.written.values()].flat();
    expect(sorted(all)).toEqual(sorted(Array.from({ length: 8 }, (_value, i) => ({ word: `w${i}`, n: i, m: i * 100 }))));
  });
});

describe("minPartitions", () => {
  const divided = (make: Make, mode: OutputMode, options: QueryOptions): Promise<World> => World.start(make, mode, ["a", "b"], options, 8);
  const push = (world: World, from: number, to: number): void => {
    for (const word of many(from, to)) world.source.push(word as Word, { split: "split-1" });
  };
  const numbers = (from: number, to: number): object[] => Array.from({ length: to - from }, (_value, i) => ({ n: from + i }));

  test("divides what a batch takes of one split among tasks; each batch has its limit, and its rows in order", async () => {
    const world = await divided((words) => words.select("n"), "append", { maxRecordsPerTrigger: 100 });
    const opens = vi.spyOn(world.source, "openReader");
    push(world, 0, 250);
    await world.query?.processAllAvailable();
    expect([...world.written.values()]).toEqual([numbers(0, 100), numbers(100, 200), numbers(200, 250)]);
    // Eight pieces of each of three batches, each with a reader of its own.
    expect(opens.mock.calls.length).toBeGreaterThanOrEqual(24);
    expect(
      world.query?.recentProgress.map(({ sources }) => [sources[0]?.startOffset, sources[0]?.endOffset, sources[0]?.numInputRows]),
    ).toEqual(
      [0, 100, 200].map((from, batch) => {
        const at = (position: number): object => ({ "split-0": 0, "split-1": position, "split-2": 0, "split-3": 0 });
        const to = [100, 200, 250][batch] as number;
        return [at(from), at(to), to - from];
      }),
    );
    push(world, 250, 260);
    await world.query?.processAllAvailable();
    expect(world.written.get(3)).toEqual(numbers(250, 260));
  });

  test("does not change what a batch is that is run again, nor the state", async () => {
    const world = await divided(totals, "update", { maxRecordsPerTrigger: 100 });
    world.onBatch = (batchId) => {
      if (batchId === 1) throw new Error("broken");
    };
    push(world, 0, 150);
    await expect(world.query?.done).rejects.toThrow("broken");
    world.onBatch = () => {};
    // Less was there when the batch was planned: what came later is the next one's.
    push(world, 150, 300);
    await world.drive({ maxRecordsPerTrigger: 100 });
    await world.query?.processAllAvailable();
    expect(sorted(world.written.get(1) ?? [])).toEqual(expectedTotals(150));
    expect(sorted(world.written.get(3) ?? [])).toEqual(expectedTotals(300));
  });

  test("holds when executors are lost in the midst of pieces", async () => {
    const world = await divided(totals, "update", { maxRecordsPerTrigger: 500 });
    for (let round = 0; round < 4; round++) {
      const id = `x${round}`;
      await world.join(id);
      push(world, round * 200, round * 200 + 200);
      const fed = world.query?.processAllAvailable();
      await new Promise((resolve) => setTimeout(resolve, round * 5));
      await world.kill(id);
      await fed;
      const last = new Map([...world.written.values()].flat().map((row) => [(row as { readonly word: string }).word, row]));
      expect(sorted([...last.values()])).toEqual(expectedTotals(round * 200 + 200));
    }
  });
});

describe("an executor", () => {
  test("that is lost between two batches: its state is read from the checkpoint elsewhere", async () => {
    const world = await World.start(totals, "update", ["a", "b"]);
    await world.feed(...many(0, 100));
    await world.kill("a");
    expect(sorted(await world.feed(...many(100, 200)))).toEqual(expectedTotals(200));
    await world.join("c");
    expect(sorted(await world.feed(...many(200, 300)))).toEqual(expectedTotals(300));
  });

  test("that is lost within a batch: the batch ends all the same, and right", async () => {
    const world = await World.start(totals, "update", ["a", "b"]);
    await world.feed(...many(0, 50));
    for (let round = 1; round < 6; round++) {
      const id = `x${round}`;
      await world.join(id);
      const fed = world.feed(...many(round * 50, round * 50 + 50));
      await new Promise((resolve) => setTimeout(resolve, round * 4));
      await world.kill(round % 2 === 0 ? id : ([...world.executors.keys()][0] as string));
      expect(sorted(await fed)).toEqual(expectedTotals(round * 50 + 50));
    }
  });

  test("that ends while it is being welcomed is not taken for one that is there", async () => {
    const world = await World.start(totals, "update", ["a"]);
    await world.feed(...many(0, 50));
    for (let ms = 0; ms < 16; ms++) {
      await world.join(`z${ms}`);
      await new Promise((resolve) => setTimeout(resolve, ms));
      await world.kill(`z${ms}`);
    }
    let to = 50;
    await expect
      .poll(
        async () => {
          await world.feed(...many(to, to + 50));
          to += 50;
          return world.status().map((one) => (one as { readonly id: string }).id);
        },
        { timeout: 60_000 },
      )
      .toEqual(["a"]);
  });

  test("that leaves is let go once nothing of it is needed", async () => {
    const world = await World.start(totals, "update", ["a", "b"]);
    await world.feed(...many(0, 100));
    const leaving = (world.executors.get("a") as OpenExecutor).executor.leave(30_000);
    expect(sorted(await world.feed(...many(100, 200)))).toEqual(expectedTotals(200));
    await leaving;
    await world.executors.get("a")?.done;
    expect(sorted(await world.feed(...many(200, 210)))).toHaveLength(10);
  });

  test("outlives its driver: the next one finds it and the state that it has", async () => {
    const world = await World.start(totals, "update", ["a", "b"]);
    await world.feed(...many(0, 100));
    await world.query?.stop();
    await world.drive();
    expect(sorted(await world.feed(...many(100, 200)))).toEqual(expectedTotals(200));
  });

  test("of another query is refused, and says so", async () => {
    const world = await World.start(totals, "update", ["a"]);
    const session = new Session();
    const frame = session
      .readStream(world.source, { name: "words" })
      .groupBy("n")
      .agg(() => ({ times: count() }), { name: "totals" });
    const other = await openExecutor(frame.writeStream({ kind: "foreachBatch", fn: () => {} }, { name: "tested", mode: "update" }), {
      ...{ driver: `127.0.0.1:${world.port}`, host: "127.0.0.1" },
      ...{ checkpointLocation: world.location, directory: join(world.directory, "other") },
    });
    await expect(other.done).rejects.toMatchObject({ code: "EXECUTOR_OTHER_QUERY" });
    await other.close();
  });
});

describe("a stop behind the batch", () => {
  const pushed = (world: World): void => world.source.push({ word: "a", n: 1, at: 0 }, { split: "split-0" });

  test("ends a query whose batch waits for executors", async () => {
    const world = await World.start(totals, "update", []);
    pushed(world);
    await world.query?.stop();
    expect(world.query?.state).toBe("stopped");
  });

  test("ends a query whose batch begins to wait only afterwards, and the batch is run by the next driver", async () => {
    const world = await World.start(totals, "update", []);
    pushed(world);
    const { promise: reading, resolve: reads } = Promise.withResolvers<void>();
    const { promise: gate, resolve: open } = Promise.withResolvers<void>();
    const openReader = world.source.openReader.bind(world.source);
    vi.spyOn(world.source, "openReader").mockImplementation(async () => {
      reads();
      await gate;
      return openReader();
    });
    await world.join("a");
    await reading;
    // Nobody is waited for now: the task is at an executor, which is lost after the stop.
    const stopped = world.query?.stop();
    const killed = world.kill("a");
    await stopped;
    expect(world.query?.state).toBe("stopped");
    expect(world.written.size).toBe(0);
    open();
    await killed;
    await world.drive();
    await world.join("b");
    await world.query?.processAllAvailable();
    expect([...world.written.values()].flat()).toEqual([{ word: "a", n: 1, total: 1 }]);
  });
});

test("a computation that fails anywhere ends the query with its own error, and no executor is blamed", async () => {
  const world = await World.start((words) => words.select((c) => ({ x: c.word.cast<number>("INTEGER") })), "append", ["a", "b"]);
  world.source.push({ word: "a", n: 1, at: 0 });
  // Whoever waits for what is there learns of it as well.
  await expect(world.query?.processAllAvailable()).rejects.toMatchObject({ code: "DATAFRAME_COMPUTE" });
  await expect(world.query?.done).rejects.toMatchObject({ code: "DATAFRAME_COMPUTE" });
});
