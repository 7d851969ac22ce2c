// Every Nexmark query at parallelism 4 over two and over four slots, with checkpoints on the way and a restore at another parallelism, gives what DuckDB computes.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Clock, ManualClock, systemClock } from "../../runtime/src/base/clock.ts";
import { MemoryStorage } from "../../runtime/src/checkpoint/storage/memory-storage.ts";
import type { SnapshotRef } from "../../runtime/src/checkpoint/store/checkpoint-store.ts";
import { type MemorySink, memorySink } from "../../runtime/src/connectors/memory/index.ts";
import { TestCluster } from "../../runtime/src/drivers/cluster/testing/test-cluster.suite.ts";
import { Random, runSeed } from "../reference/random.ts";
import { Gate } from "./gate.ts";
import { clockSteps, clockStops, events, expectedLines, generatorOf, openReferences, type References } from "./golden-input.ts";
import { queries } from "./queries/all.ts";
import { type NexmarkQuery, nexmarkJob } from "./queries/tables.ts";
import { differences, resultLines } from "./result.ts";

const seed = runSeed();
let references: References;
beforeAll(async () => {
  process.stdout.write(`nexmark over slots: MILLRACE_SEED=${seed}\n`);
  references = await openReferences(seed);
});
afterAll(() => references.close());

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-nexmark-slots-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

interface CourseOptions {
  readonly parallelism: number;
  readonly slots: number;
  readonly storage: MemoryStorage;
  readonly clock: Clock;
  /** 0: every checkpoint overtakes rows; Infinity: none does. */
  readonly alignmentTimeoutMs: number;
  readonly restore?: SnapshotRef;
}

/** One run of a query, with the places where it stops on its way; at each of them a checkpoint is taken. */
class Course {
  readonly gate: Gate;
  readonly #cluster: TestCluster;
  readonly #clock: Clock;

  private constructor(gate: Gate, cluster: TestCluster, clock: Clock) {
    this.gate = gate;
    this.#cluster = cluster;
    this.#clock = clock;
  }

  static async start(query: NexmarkQuery, sink: MemorySink, options: CourseOptions): Promise<Course> {
    const gate = new Gate(query.number === 12 ? 1 : 64);
    const dataflow = nexmarkJob(query, { generator: generatorOf(query, seed), wrap: (source) => gate.wrap(source) }, sink).build();
    const cluster = await TestCluster.start({ dataflow, directory: join(directory, String(Math.random())), ...options });
    return new Course(gate, cluster, options.clock);
  }

  /** Goes on until all events before `limit` have been polled, and takes a checkpoint there: when it is aligned, they have been processed too. */
  async goTo(limit: number, after: "go" | "hold" = "go"): Promise<SnapshotRef> {
    await this.#during(this.gate.open(limit));
    const { ref } = await this.#cluster.checkpoint(after);
    if (this.#clock instanceof ManualClock) this.#clock.advance(clockSteps.stepMs);
    return ref;
  }

  async #during(what: Promise<void>): Promise<void> {
    const failed = this.#cluster.failed().then(({ code, message }): never => {
      throw new Error(`the job has failed: ${code}: ${message}`);
    });
    await Promise.race([what, failed]);
  }

  async finish(): Promise<void> {
    const open = this.gate.open(Infinity);
    await this.#cluster.finish();
    await open;
  }

  close(): Promise<void> {
    return this.#cluster.close();
  }
}

async function golden(query: NexmarkQuery): Promise<void> {
  const random = new Random(seed * 100 + query.number);
  const ownsClock = query.number === 12;
  const expected = await expectedLines(query, references);
  const newClock = (): Clock => (ownsClock ? new ManualClock(clockSteps.startMs) : systemClock);
  // A clock may move only when everything before has been processed, and only an aligned checkpoint says so.
  const alignmentTimeoutMs = ownsClock ? Infinity : random.pick([0, 0, Infinity]);
  const stops = ownsClock ? clockStops : [1, 2, 3, 4].map((fifth) => (events * fifth) / 5);

  const whole = memorySink();
  const run = await Course.start(query, whole, {
    parallelism: 4,
    slots: 2,
    storage: new MemoryStorage(),
    clock: newClock(),
    alignmentTimeoutMs,
  });
  for (const stop of stops) await run.goTo(stop);
  await run.finish();
  await run.close();
  expect(differences(resultLines(query, whole), expected)).toEqual([]);

  const resumed = memorySink();
  const storage = new MemoryStorage();
  const clock = newClock();
  const before = await Course.start(query, resumed, { parallelism: 4, slots: 4, storage, clock, alignmentTimeoutMs });
  const last = random.int(0, stops.length - 2);
  let restore: SnapshotRef | undefined;
  for (const [index, stop] of stops.slice(0, last + 1).entries()) restore = await before.goTo(stop, index === last ? "hold" : "go");
  await before.close();
  const after = await Course.start(query, resumed, {
    parallelism: 3,
    slots: 2,
    storage,
    clock,
    alignmentTimeoutMs,
    ...(restore === undefined ? {} : { restore }),
  });
  for (const stop of stops.slice(last + 1)) await after.goTo(stop);
  await after.finish();
  await after.close();
  expect([before.gate.rows > 0, after.gate.rows > 0]).toEqual([true, true]);
  expect(before.gate.rows + after.gate.rows).toBe(run.gate.rows);
  expect(differences(resultLines(query, resumed), expected)).toEqual([]);
}

describe(`over slots (seed ${seed})`, () => {
  test.each(queries.map((query) => [`${query.number}, ${query.title}`, query] as const))(
    "query %s: parallelism 4 over 2 slots = over 4 slots, resumed at parallelism 3 = DuckDB",
    (_title, query) => golden(query),
    120_000,
  );
});
