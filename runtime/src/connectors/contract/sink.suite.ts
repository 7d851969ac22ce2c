// The contract of a sink as checks: every connector's tests call `sinkContract`, and so can a connector outside of this package.
import assert from "node:assert/strict";
import { isMillraceError } from "../../base/errors.ts";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import type { Sink } from "../../core/ports/sink.ts";
import { SinkJob, type SinkRow, sinkRow, sinkSuiteSchema, type SinkWorld } from "./sink-run.ts";
import { type RegisterTest, seeded, throughJson } from "./suite.ts";

export { sinkSuiteSchema, type SinkRow, type SinkWorld } from "./sink-run.ts";

export interface SinkFixture {
  /** What is tested; starts the name of every check. */
  readonly name: string;
  /** Makes an empty output. Called once per check. */
  open(): Promise<SinkWorld>;
  /** Sinks that cannot work: opening or writing to them rejects with a `MillraceError` of this code. */
  readonly failures?: readonly { readonly name: string; readonly code: string; open(): Promise<Sink> }[];
  /** How many lives with random crashes are tried. Default 10. */
  readonly randomLives?: number;
}

/** Registers the checks of the sink contract (see `Sink` and `SinkWriter`) that fit the sink's delivery. */
export function sinkContract(test: RegisterTest, fixture: SinkFixture): void {
  const check: Check = (claim, run) => {
    test(`${fixture.name}: ${claim}`, async () => {
      const world = await fixture.open();
      const job = new SinkJob(world);
      try {
        await run(job, world.sink().delivery === "exactly-once");
      } finally {
        await job.crash();
        await world.dispose();
      }
    });
  };
  writingChecks(check);
  visibilityChecks(check);
  crashChecks(check, fixture.randomLives ?? 10);
  for (const failure of fixture.failures ?? []) {
    test(`${fixture.name}: ${failure.name} is a ${failure.code}`, () => assertFails(failure.open, failure.code));
  }
}

type Check = (claim: string, run: (job: SinkJob, exactlyOnce: boolean) => Promise<void>) => void;

const patienceMs = 60_000;

const expectedRows = (count: number): SinkRow[] => Array.from({ length: count }, (_, id) => sinkRow(id));

function sorted(rows: readonly SinkRow[]): SinkRow[] {
  return rows.map(({ id, name }) => ({ id, name })).sort((a, b) => a.id - b.id);
}

/** Exactly rows `0..count`, each once; at-least-once output may repeat rows, and may show later ones. */
async function assertVisible(job: SinkJob, count: number, exactlyOnce: boolean, when: string): Promise<void> {
  let visible = sorted(await job.world.visible());
  if (exactlyOnce) {
    // A system may have taken the commit and show it a moment later (a broker writes its markers partition by partition); what is visible
    // too early or twice does not go away by waiting.
    const expected = expectedRows(count);
    for (const untilMs = Date.now() + patienceMs; Date.now() < untilMs && visible.length < count; ) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      visible = sorted(await job.world.visible());
    }
    assert.deepEqual(visible, expected, `${when}: what is visible is not rows 0 to ${count}, once each`);
    return;
  }
  const byId = new Map(visible.map((row) => [row.id, row]));
  for (const row of expectedRows(count)) assert.deepEqual(byId.get(row.id), row, `${when}: row ${row.id} is not visible`);
  for (const row of visible) assert.deepEqual(row, sinkRow(row.id), `${when}: a row that was never written is visible`);
}

function writingChecks(check: Check): void {
  check("describes itself in plain JSON", async ({ world }) => {
    const sink = world.sink();
    assert.ok(sink.connector.length > 0, "the connector has no name");
    assert.deepEqual(throughJson(sink.options), sink.options, "options are not plain JSON");
  });

  check("writes selected rows only, whole, and copies them before write returns", async (job, exactlyOnce) => {
    await job.start(1);
    for (let i = 0; i < 5; i++) await job.write(20);
    await job.checkpoint();
    await assertVisible(job, 100, exactlyOnce, "after the commit");
    await job.close();
  });

  check("keeps the order of an instance's rows within what it makes visible at once", async (job) => {
    await job.start(1);
    await job.write(50);
    await job.checkpoint();
    const ids = (await job.world.visible()).map((row) => row.id);
    assert.deepEqual(
      ids,
      [...ids].sort((a, b) => a - b),
    );
    await job.close();
  });

  check("many epochs, empty ones among them", async (job, exactlyOnce) => {
    await job.start(2);
    for (const rows of [3, 0, 5, 1, 0, 0, 7]) {
      await job.write(rows);
      await job.flush();
      await job.checkpoint();
      await assertVisible(job, job.rows, exactlyOnce, `after an epoch of ${rows} rows`);
    }
    await job.close();
  });

  // One instance: another one's next transaction may lie in front of this one's records, and hide them until it is committed too.
  check("takes rows while a checkpoint is under way", async (job, exactlyOnce) => {
    await job.start(1);
    await job.write(10);
    const preparing = job.prepare();
    await job.write(10);
    await preparing;
    job.publish();
    await job.commit();
    job.record();
    await assertVisible(job, 10, exactlyOnce, "rows after the cut belong to the next epoch");
    await job.checkpoint();
    await assertVisible(job, 20, exactlyOnce, "after the next epoch");
    await job.close();
  });

  check("close is idempotent and drops what was not prepared", async (job, exactlyOnce) => {
    await job.start(2);
    await job.write(4);
    await job.checkpoint();
    await job.write(4);
    const writers = job.writers;
    await job.close();
    for (const writer of writers) await writer.close();
    await assertVisible(job, 4, exactlyOnce, "after close");
    await job.start(2);
    await assertVisible(job, 4, exactlyOnce, "after a restart");
    await job.close();
  });
}

function visibilityChecks(check: Check): void {
  check("shows nothing before the commit, everything before the cut after it", async (job, exactlyOnce) => {
    await job.start(2);
    await job.write(6);
    await job.flush();
    if (exactlyOnce) await assertVisible(job, 0, true, "written and flushed");
    await job.prepare();
    await assertVisible(job, exactlyOnce ? 0 : 6, exactlyOnce, "prepared");
    job.publish();
    await job.write(6);
    await job.flush();
    await job.commit();
    await assertVisible(job, 6, exactlyOnce, "committed");
    await job.commit();
    await assertVisible(job, 6, exactlyOnce, "committed twice");
    await job.close();
  });

  check("a commit covers checkpoints that were given up before it", async (job, exactlyOnce) => {
    await job.start(2);
    await job.write(4);
    await job.prepare();
    await job.write(4);
    await job.prepare();
    job.publish();
    await job.crash();
    await job.start(1);
    await assertVisible(job, 8, exactlyOnce, "restored from the second checkpoint");
    await job.write(4);
    await job.prepare();
    await job.write(4);
    await job.prepare();
    job.publish();
    await job.commit();
    await assertVisible(job, 16, exactlyOnce, "the commit of the second checkpoint");
    await job.close();
  });
}

/** The steps of an epoch between which a process may die, in order. */
const steps: readonly { readonly name: string; run(job: SinkJob): Promise<void> }[] = [
  { name: "write", run: (job) => job.write(5) },
  { name: "flush", run: (job) => job.flush() },
  { name: "write again", run: (job) => job.write(2) },
  { name: "prepare", run: (job) => job.prepare() },
  { name: "publish", run: async (job) => job.publish() },
  { name: "write after the cut", run: (job) => job.write(3) },
  { name: "commit of one instance", run: (job) => job.commit(job.writers.slice(-1)) },
  { name: "commit", run: (job) => job.commit() },
  { name: "record", run: async (job) => job.record() },
];

function crashChecks(check: Check, randomLives: number): void {
  for (const [at, step] of steps.entries()) {
    check(`the process dies after "${step.name}"`, async (job, exactlyOnce) => {
      await job.start(2);
      await job.write(7);
      await job.checkpoint();
      for (const before of steps.slice(0, at + 1)) await before.run(job);
      await job.crash();
      const stored = job.published?.rows ?? 0;
      await job.start(2);
      await assertVisible(job, stored, exactlyOnce, "after the restore");
      await job.write(4);
      await job.checkpoint();
      await assertVisible(job, job.rows, exactlyOnce, "after the next checkpoint");
      await job.close();
    });
  }

  check("the process dies while it prepares", async (job, exactlyOnce) => {
    await job.start(2);
    await job.write(6);
    await job.checkpoint();
    await job.write(6);
    const preparing = job.prepare().catch(() => {});
    await job.crash();
    await preparing;
    await job.start(2);
    await assertVisible(job, 6, exactlyOnce, "after the restore");
    await job.write(6);
    await job.checkpoint();
    await assertVisible(job, 12, exactlyOnce, "after the next checkpoint");
    await job.close();
  });

  check("a restore that dies is restored again", async (job, exactlyOnce) => {
    await job.start(3);
    await job.write(9);
    await job.prepare();
    job.publish();
    await job.crash();
    for (let i = 0; i < 3; i++) {
      await job.start(2);
      await assertVisible(job, 9, exactlyOnce, "after a restore");
      await job.write(2);
      await job.crash();
    }
    await job.start(2);
    await job.write(3);
    await job.checkpoint();
    await assertVisible(job, 12, exactlyOnce, "after the last restore");
    await job.close();
  });

  for (const committed of [false, true]) {
    for (const [from, to] of [
      [2, 1],
      [1, 3],
      [3, 2],
    ] as const) {
      check(`restores with ${to} instead of ${from} instances, ${committed ? "committed" : "not committed"}`, async (job, exactlyOnce) => {
        await job.start(from);
        await job.write(8);
        await job.prepare();
        job.publish();
        if (committed) {
          await job.commit();
          job.record();
        }
        await job.write(5);
        await job.flush();
        await job.crash();
        await job.start(to);
        await assertVisible(job, 8, exactlyOnce, "after the restore");
        await job.write(8);
        await job.checkpoint();
        await assertVisible(job, 16, exactlyOnce, "after the next checkpoint");
        await job.close();
      });
    }
  }

  check(`survives ${randomLives} lives that end at random steps`, async (job, exactlyOnce) => {
    const random = seeded(20_260_101);
    const upTo = (most: number): number => Math.floor(random() * (most + 1));
    for (let life = 0; life < randomLives; life++) {
      await job.start(1 + upTo(2));
      for (let epochs = upTo(2); epochs > 0; epochs--) for (const step of steps) await step.run(job);
      for (const step of steps.slice(0, upTo(steps.length))) await step.run(job);
      await job.crash();
    }
    await job.start(2);
    await job.write(5);
    await job.checkpoint();
    await assertVisible(job, job.rows, exactlyOnce, `after ${randomLives} lives (seed 20260101)`);
    await job.close();
  });
}

async function assertFails(open: () => Promise<Sink>, code: string): Promise<void> {
  const attempt = async (): Promise<void> => {
    const sink = await open();
    const base = { jobName: "contract", uid: "contract-sink", clock: systemClock, log: silentLog, checkpointIntervalMs: 1000 };
    const writer = await sink.openWriter({ ...base, subtask: 0, parallelism: 1 }, sinkSuiteSchema);
    try {
      await writer.prepare(1);
      await writer.commit(1);
    } finally {
      await writer.close();
    }
  };
  await assert.rejects(attempt, (error) => {
    assert.ok(isMillraceError(error), `not a MillraceError: ${String(error)}`);
    assert.equal(error.code, code, error.message);
    assert.ok(error.subject.length > 0 && error.next.length > 0, "it names no subject or no next step");
    return true;
  });
}
