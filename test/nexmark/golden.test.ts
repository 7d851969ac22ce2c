// Every Nexmark query: a whole run, a run with checkpoints, and a run that goes on from a savepoint at another parallelism give what
// DuckDB computes from the same events. The protocol is that of Arroyo's golden tests (crates/arroyo-sql-testing).
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Clock, ManualClock, systemClock } from "../../runtime/src/base/clock.ts";
import { type MemorySink, memorySink } from "../../runtime/src/connectors/memory/index.ts";
import type { StateBackendFactory } from "../../runtime/src/core/ports/state-backend.ts";
import { memoryBackend } from "../../runtime/src/state/memory/memory-backend.ts";
import { rocksdbBackend } from "../../runtime/src/state/rocksdb/rocksdb-backend.ts";
import { Random, runSeed } from "../reference/random.ts";
import { Gate } from "./gate.ts";
import { queries } from "./queries/all.ts";
import { type NexmarkInput, type NexmarkQuery, nexmarkJob } from "./queries/tables.ts";
import { clockSteps, clockStops, events, expectedLines, generatorOf, openReferences, type References } from "./golden-input.ts";
import { differences, resultLines } from "./result.ts";
import { QueryRun } from "./run-query.ts";

const seed = runSeed();
let references: References;
beforeAll(async () => {
  process.stdout.write(`nexmark: MILLRACE_SEED=${seed}\n`);
  references = await openReferences(seed);
});
afterAll(() => references.close());

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-nexmark-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

/** One run of a query, from its start or from a savepoint, with the places where it is to stop on its way. */
class Course {
  readonly gate: Gate;
  readonly run: QueryRun;
  readonly #clock: Clock;

  constructor(
    query: NexmarkQuery,
    sink: MemorySink,
    options: {
      readonly name: string;
      readonly form: NexmarkInput["form"];
      readonly stateBackend: StateBackendFactory;
      readonly parallelism: number;
      readonly clock: Clock;
      readonly checkpointIntervalMs?: number;
      readonly savepoint?: string;
    },
  ) {
    const { form, name, ...rest } = options;
    // A limit holds to the event where the clock moves between two of them.
    this.gate = new Gate(query.number === 12 ? 1 : 64);
    this.#clock = options.clock;
    const job = nexmarkJob(query, { generator: generatorOf(query, seed), form, wrap: (source) => this.gate.wrap(source) }, sink);
    this.run = QueryRun.start(job, { checkpointIntervalMs: Infinity, ...rest, directory: join(directory, name) });
  }

  /** Goes on until all events before `limit` are processed, and lets the clock of a test that owns it go on. */
  async goTo(limit: number): Promise<void> {
    await this.run.during(this.gate.open(limit));
    if (this.#clock instanceof ManualClock) this.#clock.advance(clockSteps.stepMs);
  }

  async finish(): Promise<void> {
    const open = this.gate.open(Infinity);
    await this.run.ended();
    await open;
  }
}

async function golden(query: NexmarkQuery, form: NexmarkInput["form"], stateBackend: StateBackendFactory): Promise<void> {
  const random = new Random(seed * 100 + query.number);
  const ownsClock = query.number === 12;
  const newClock = (): Clock => (ownsClock ? new ManualClock(clockSteps.startMs) : systemClock);
  const expected = await expectedLines(query, references);
  expect(expected.length).toBeGreaterThan(4);
  const common = { form, stateBackend };

  const whole = memorySink();
  const wholeRun = new Course(query, whole, { ...common, name: "whole", parallelism: 1, clock: newClock() });
  for (const stop of ownsClock ? clockStops : []) await wholeRun.goTo(stop);
  await wholeRun.finish();
  expect(differences(resultLines(query, whole), expected)).toEqual([]);

  const checked = memorySink();
  const checkedRun = new Course(query, checked, { ...common, name: "checked", parallelism: 2, clock: newClock(), checkpointIntervalMs: 5 });
  let checkpoints = 0;
  for (const stop of ownsClock ? clockStops : [1, 2, 3, 4].map((fifth) => (events * fifth) / 5)) {
    await checkedRun.goTo(stop);
    checkpoints = await checkedRun.run.checkpointed();
  }
  await checkedRun.finish();
  expect(checkpoints).toBeGreaterThanOrEqual(3);
  expect(differences(resultLines(query, checked), expected)).toEqual([]);

  const resumed = memorySink();
  const clock = newClock();
  const before = new Course(query, resumed, { ...common, name: "before", parallelism: 2, clock });
  const stops = ownsClock ? clockStops : [random.int(events * 0.3, events * 0.7)];
  const last = Math.floor(stops.length / 2);
  for (const stop of stops.slice(0, last + 1)) await before.goTo(stop);
  const savepoint = await before.run.stopWithSavepoint();
  const after = new Course(query, resumed, { ...common, name: "after", parallelism: 3, clock, savepoint });
  for (const stop of stops.slice(last + 1)) await after.goTo(stop);
  await after.finish();
  expect(after.run.supervisor.status().restoredFrom).toContain("golden");
  expect([before.gate.rows > 0, after.gate.rows > 0]).toEqual([true, true]);
  expect(before.gate.rows + after.gate.rows).toBe(wholeRun.gate.rows);
  expect(differences(resultLines(query, resumed), expected)).toEqual([]);
}

const casesOf = (wanted: (query: NexmarkQuery) => boolean): readonly (readonly [string, NexmarkQuery])[] =>
  queries.filter(wanted).map((query) => [`${query.number}, ${query.title}`, query] as const);
const stateless: readonly number[] = [0, 1, 2, 14, 22];
const joins: readonly number[] = [3, 4, 8, 20];
/** Less than the state of the larger queries, so that much of it is in the database; a join reads whole rows again and again. */
const heapBytesOf = ({ number }: NexmarkQuery): number => ([4, 13, 20].includes(number) ? 600_000 : 60_000);
const timeoutMs = 120_000;

describe(`with state in memory (seed ${seed})`, () => {
  test.each(casesOf(() => true))(
    "query %s: whole run = run with checkpoints = resumed run",
    (_title, query) => golden(query, "tables", memoryBackend()),
    timeoutMs,
  );
});

describe(`with state in RocksDB (seed ${seed})`, () => {
  test.each(casesOf(({ number }) => !stateless.includes(number)))(
    "query %s: whole run = run with checkpoints = resumed run",
    (_title, query) =>
      golden(query, "tables", rocksdbBackend({ heapBytes: heapBytesOf(query), blockCacheBytes: 2 ** 20, writeBufferBytes: 2 ** 20 })),
    timeoutMs,
  );
});

describe(`from one stream of all events (seed ${seed})`, () => {
  test.each(casesOf(({ number }) => joins.includes(number)))(
    "query %s: whole run = run with checkpoints = resumed run",
    (_title, query) => golden(query, "events", memoryBackend()),
    timeoutMs,
  );
});
