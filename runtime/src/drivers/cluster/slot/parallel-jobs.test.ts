// Jobs over several slots give what a plain computation gives: windows, sessions and timers, under checkpoints of both kinds and restores at other parallelisms.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Random, runSeed } from "../../../../../test/reference/random.ts";
import type { SnapshotRef } from "../../../checkpoint/store/checkpoint-store.ts";
import { MemoryStorage } from "../../../checkpoint/storage/memory-storage.ts";
import { memorySink } from "../../../connectors/memory/index.ts";
import { job } from "../../../dsl/job.ts";
import type { Scheduler } from "../../exchange/wire/memory-wire.ts";
import { TestCluster } from "../testing/test-cluster.suite.ts";
import { makeBids, newSource, push, shown, slowSink, turns, type Workload, workloads } from "../testing/workload.suite.ts";

const seed = runSeed();
beforeAll(() => {
  process.stdout.write(`parallel jobs: MILLRACE_SEED=${seed}\n`);
});

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-slots-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const sorted = (lines: readonly string[]): readonly string[] => [...lines].sort();

/** Delivers frames in an order of the seed's choice: any wire's next one may come first, and some wait for later turns. */
function seededScheduler(random: Random): Scheduler {
  const steps: (() => void)[] = [];
  let pumping = false;
  const pump = (): void => {
    for (let count = random.int(0, steps.length); count > 0; count--) steps.splice(random.int(0, steps.length - 1), 1)[0]?.();
    pumping = steps.length > 0;
    if (pumping) setImmediate(pump);
  };
  return {
    schedule(step) {
      steps.push(step);
      if (pumping) return;
      pumping = true;
      setImmediate(pump);
    },
  };
}

describe(`a job over several slots (seed ${seed})`, () => {
  const placements = [
    [4, 2, "memory"],
    [4, 4, "tcp"],
    [3, 2, "memory"],
  ] as const;
  const cases = workloads.flatMap((workload) => placements.map((placement) => [workload.name, ...placement, workload] as const));

  test.each(cases)(
    "%s: parallelism %i over %i slots by %s equals the reference",
    async (_name, parallelism, slots, transport, workload) => {
      const random = new Random(seed);
      const source = newSource();
      const sink = memorySink();
      const bids = makeBids(() => random.next(), 4000);
      push(source, bids);
      source.end();
      const dataflow = workload.build(source, sink);
      const cluster = await TestCluster.start({ dataflow, parallelism, slots, storage: new MemoryStorage(), directory, transport });
      await cluster.finish();
      await cluster.close();
      expect(sorted(shown(sink))).toEqual(sorted(workload.expected(bids)));
    },
  );
});

test("columns that an operator passes on without reading them come with its rows from another slot", async () => {
  const source = newSource();
  const sink = memorySink();
  const random = new Random(seed);
  const bids = makeBids(() => random.next(), 600);
  push(source, bids);
  source.end();
  const dataflow = job("passed-on", (flow) => {
    flow.source("bids", source).toStream({ kind: "what", uid: "c", parallelism: 1 }).to("out", sink);
  }).build();
  const cluster = await TestCluster.start({ dataflow, parallelism: 3, slots: 3, storage: new MemoryStorage(), directory });
  await cluster.finish();
  await cluster.close();
  const expected = bids.map((bid) => JSON.stringify({ ...bid, what: "insert" }));
  expect(sorted(sink.written.map(({ row }) => JSON.stringify(row)))).toEqual(sorted(expected));
});

const phaseBids = 1000;

interface Phases {
  readonly workload: Workload;
  readonly seed: number;
  readonly alignmentTimeoutMs: number;
  readonly parallelisms: readonly number[];
}

// Runs a job in phases, each at another parallelism from the last phase's checkpoint, with rows on their way at every one of them.
async function inPhases({
  workload,
  seed: ownSeed,
  alignmentTimeoutMs,
  parallelisms,
}: Phases): Promise<{ readonly inFlightBytes: number; readonly unaligned: number }> {
  const random = new Random(ownSeed);
  const source = newSource();
  const sink = memorySink();
  const bids = makeBids(() => random.next(), phaseBids * parallelisms.length);
  const storage = new MemoryStorage();
  const slow = slowSink(sink, 20, () => turns(random.int(1, 6)));
  let restore: SnapshotRef | undefined;
  let inFlightBytes = 0;
  let unaligned = 0;
  for (const [phase, parallelism] of parallelisms.entries()) {
    const isLast = phase === parallelisms.length - 1;
    push(source, bids, phase * phaseBids, (phase + 1) * phaseBids);
    if (isLast) source.end();
    const cluster = await TestCluster.start({
      dataflow: workload.build(source, slow),
      parallelism,
      // Three slots at least, where there are so many: only then can what follows one barrier come before another.
      slots: random.int(Math.min(3, parallelism), parallelism),
      storage,
      directory: join(directory, `phase-${phase}`),
      scheduler: seededScheduler(random),
      exchange: {
        limits: { frameBytes: random.pick([200, 2000]), frameRows: random.pick([4, 30]) },
        flushTimeoutMs: random.pick([0, 2]),
        bufferBytes: random.pick([1, 4000]),
      },
      alignmentTimeoutMs,
      ...(restore === undefined ? {} : { restore }),
    });
    for (let checkpoint = 0; checkpoint < 3; checkpoint++) {
      await turns(random.int(0, 12));
      if (checkpoint === 1) cluster.bases();
      const isLastOne = checkpoint === 2 && !isLast;
      const taken = await cluster.checkpoint(isLastOne && random.chance(0.3) ? "hold" : "go");
      restore = taken.ref;
      for (const { times } of taken.acks) {
        inFlightBytes += times.inFlightBytes;
        unaligned += times.unaligned ? 1 : 0;
      }
    }
    if (isLast) await cluster.finish();
    // What is processed after the last checkpoint is lost with the slots, and comes again.
    else await turns(random.int(0, 15));
    await cluster.close();
  }
  expect(sorted(shown(sink))).toEqual(sorted(workload.expected(bids)));
  return { inFlightBytes, unaligned };
}

describe(`restores at other parallelisms (seed ${seed})`, () => {
  test.each(workloads.map((workload) => [workload.name, workload] as const))(
    "%s: 1 -> 6 -> 4 -> 3 -> 2 from aligned checkpoints equals the run without",
    async (_name, workload) => {
      for (let round = 0; round < 4; round++) {
        const { unaligned } = await inPhases({ workload, seed: seed + round, alignmentTimeoutMs: Infinity, parallelisms: [1, 6, 4, 3, 2] });
        expect(unaligned).toBe(0);
      }
    },
    60_000,
  );

  test.each(workloads.map((workload) => [workload.name, workload] as const))(
    "%s: 1 -> 4 -> 3 -> 2 from checkpoints that overtake rows equals the run without",
    async (_name, workload) => {
      let inFlightBytes = 0;
      for (let round = 0; round < 4; round++) {
        const found = await inPhases({ workload, seed: seed + round, alignmentTimeoutMs: 0, parallelisms: [1, 4, 3, 2] });
        inFlightBytes += found.inFlightBytes;
      }
      expect(inFlightBytes).toBeGreaterThan(0);
    },
    120_000,
  );
});
