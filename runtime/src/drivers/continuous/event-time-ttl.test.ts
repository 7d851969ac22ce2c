// State that expires by event time: exact to the watermark, whatever the loop does in one turn, and across a restore.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { type MemorySource, memorySink, memorySource } from "../../connectors/memory/index.ts";
import { state } from "../../core/handles/declarations.ts";
import { int32, string, timestamp } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../core/time/watermark-strategy.ts";
import { type Job, job } from "../../dsl/job.ts";
import { entryMerging } from "../../state/entry-merging.ts";
import { memoryBackend } from "../../state/memory/memory-backend.ts";
import { testJob } from "../../testing/job-harness.ts";
import type { SubtaskStatus } from "./job-status.ts";
import { jobSnapshots } from "./job-snapshots.ts";
import { Supervisor } from "./supervisor.ts";

const Beat = schema({ device: string(), at: timestamp() });
type Beat = { readonly device: string; readonly at: number };
const Seen = schema({ device: string(), times: int32() });

/** How often each device was seen, forgotten after 5 s of event time. A device whose name begins with a dash only moves time on. */
function seenJob(source: MemorySource<Beat>, sink: ReturnType<typeof memorySink>): Job {
  return job("seen", (flow) => {
    flow
      .source("beats", source, { time: "at", watermarks: boundedOutOfOrderness(0, { everyRow: true }) })
      .filter(({ device }) => !device.startsWith("-"))
      .keyBy("device")
      .process(
        {
          onRow({ device }, { state: { times }, emit }) {
            times.set((times.get() ?? 0) + 1);
            emit({ device, times: times.get() ?? 0 });
          },
        },
        {
          uid: "seen",
          output: Seen,
          state: { times: state.value(int32(), { ttl: { ttlMs: 5000, time: "event", refresh: "write" } }) },
        },
      )
      .to("out", sink);
  });
}

const beats: readonly Beat[] = [
  { device: "a", at: 0 },
  { device: "a", at: 4000 },
  { device: "-", at: 9500 },
  { device: "a", at: 9600 },
];

test("an entry is gone at the watermark that ends its time, also within one turn of the loop", async () => {
  const harness = await testJob(seenJob(memorySource(Beat), memorySink()));
  try {
    await harness.push("beats", ...beats).run();
    expect(harness.rows("out").map(({ times }) => times)).toEqual([1, 2, 1]);
  } finally {
    await harness.close();
  }
});

test("a restored entry is as old as the watermark of the snapshot says, before any new row has come", async () => {
  const directory = await mkdtemp(join(tmpdir(), "millrace-ttl-"));
  try {
    const source = memorySource(Beat);
    const sink = memorySink();
    const run = (): Supervisor => {
      const dataflow = seenJob(source, sink).build();
      return new Supervisor({
        jobName: dataflow.name,
        dataflow,
        parallelism: 1,
        maxParallelism: 16,
        clock: systemClock,
        log: silentLog,
        stateBackend: memoryBackend(),
        directory: join(directory, "work"),
        checkpointIntervalMs: 60_000,
        badRows: { onBadRecord: "fail", maxPerMinute: 0 },
        checkpoints: { intervalMs: 60_000, minPauseMs: 0, tolerableFailures: 0 },
        restarts: { maxAttempts: 0, initialMs: 1, maxMs: 2, resetAfterMs: 1000 },
        random: () => 0,
        begin: jobSnapshots({
          storage: pathToFileURL(join(directory, "snapshots")).href,
          storageOptions: {},
          dataflow,
          maxParallelism: 16,
          retained: 2,
          initialSavepoint: undefined,
          allowNonRestoredState: false,
          merging: entryMerging,
          hasDeadLetterSink: false,
          log: silentLog,
          clock: systemClock,
        }),
      });
    };
    const first = run();
    const done = first.run();
    source.push(beats[0] as Beat);
    source.push(beats[1] as Beat);
    const seen = (): SubtaskStatus | undefined => first.status().run?.operators.find(({ uid }) => uid === "seen")?.subtasks[0];
    await expect.poll(() => seen()?.rowsIn, { timeout: 60_000, interval: 2 }).toBe(2);
    // The entry is in a snapshot of this time; what follows changes the watermark and no entry.
    await first.savepoint("early", "keep");
    source.push(beats[2] as Beat);
    await expect.poll(() => seen()?.watermarkMs, { timeout: 60_000, interval: 2 }).toBeGreaterThan(9000);
    await first.stop();
    await done;
    source.push(beats[3] as Beat);
    source.end();
    expect(await run().run()).toBe("ended");
    expect(sink.written.map(({ row }) => (row as { times: number }).times)).toEqual([1, 2, 1]);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
