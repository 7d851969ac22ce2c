// Whom a JobManager takes while it takes a job over: TaskManagers wait for it as long as it reads, and look elsewhere when it cannot lead.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { type Clock, systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";
import { entryMerging } from "../../../state/entry-merging.ts";
import type { LeaderMessage } from "../rpc/messages.ts";
import type { Hello, WorkerConnection } from "../rpc/rpc-server.ts";
import { JobManager } from "./job-manager.ts";
import type { RestorePoint } from "./leader-session.ts";

let folder: string;
let manager: JobManager | undefined;
/** Pauses between two tries to lead: they last until the test ends. */
let pauses: (() => void)[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "millrace-job-manager-"));
  pauses = [];
});
afterEach(async () => {
  const stopped = manager?.stop();
  for (const end of pauses) end();
  await stopped;
  rmSync(folder, { recursive: true, force: true });
});

const clock: Clock = {
  now: () => performance.now(),
  after(delayMs, callback) {
    if (delayMs !== 2000) return systemClock.after(delayMs, callback);
    pauses.push(callback);
    return () => {};
  },
};

const hello = { job: "clicks", run: 1, taskManagerId: "tm-1", epoch: 0, slots: [], slices: [] } as unknown as Hello;

/** What a TaskManager hears. */
function connection(): WorkerConnection & { readonly heard: string[] } {
  const heard: string[] = [];
  const made = { heard, peer: "tm-1", send: ({ kind }: LeaderMessage) => void heard.push(kind), close: () => void heard.push("closed") };
  return made as unknown as WorkerConnection & { readonly heard: string[] };
}

async function start(storage: string, restorePoint: Promise<RestorePoint>): Promise<JobManager> {
  const started = await JobManager.start({
    ...{ holder: "one", advertise: "127.0.0.1", restUrl: () => "http://127.0.0.1:1", clock, random: () => 0.5, log: silentLog },
    rpc: { host: "127.0.0.1", port: 0, tls: undefined, token: undefined, heartbeats: { intervalMs: 1000, timeoutMs: 60_000 } },
    lease: { read: () => Promise.resolve(undefined), write: () => Promise.resolve(true), close: () => Promise.resolve() },
    times: { durationMs: 600_000, renewMs: 500_000, retryMs: 400_000 },
    session: {
      dataflow: { name: "clicks", nodes: [] } as unknown as Dataflow,
      graph: { name: "clicks", fingerprint: "f", maxParallelism: 8, deadLetters: undefined, regions: [] },
      ...{ run: 1, storage: pathToFileURL(storage).href, storageOptions: {}, retained: 1, hasDeadLetterSink: false },
      merging: entryMerging,
      options: {
        ...{ revision: "1", parallelism: 1, vertexParallelism: {}, checkpointIntervalMs: 60_000, minPauseMs: 0, alignmentTimeoutMs: 1000 },
        ...{ checkpointTimeoutMs: 60_000, tolerableFailures: 0, restarts: { kind: "fixed-delay", maxAttempts: 1, delayMs: 1 } },
        ...{ reconnectMs: 500, adoptMs: 10_000, deployTimeoutMs: 60_000, cancelTimeoutMs: 5000, allowNonRestoredState: false },
      },
      ...{ clock, random: () => 0.5, log: silentLog },
    },
    restorePoint,
    over: () => {},
  });
  manager = started;
  started.failed.catch(() => undefined);
  await vi.waitFor(() => expect(started.isLeading).toBe(true), { timeout: 30_000 });
  return started;
}

test("a TaskManager that comes while the leader reads what was left waits for it, and is registered then", {
  timeout: 60_000,
}, async () => {
  const { promise: restorePoint, resolve: order } = Promise.withResolvers<RestorePoint>();
  const leader = await start(join(folder, "state"), restorePoint);
  order({ sinceRun: 0, location: undefined });
  // The leader has begun to read, which takes more than a few turns of promises.
  for (let turn = 0; turn < 10; turn++) await Promise.resolve();
  expect(leader.session).toBeUndefined();
  const held = connection();
  expect(leader.accept(hello, held)).toHaveProperty("message", expect.any(Function));
  await vi.waitFor(() => expect(leader.session).toBeDefined(), { timeout: 30_000 });
  await vi.waitFor(() => expect(held.heard).toEqual(["welcome"]), { timeout: 30_000 });
});

test("a leader that cannot begin sends TaskManagers away, and takes none until it tries again", { timeout: 60_000 }, async () => {
  const { promise: restorePoint, resolve: order } = Promise.withResolvers<RestorePoint>();
  writeFileSync(join(folder, "no-folder"), "");
  const leader = await start(join(folder, "no-folder"), restorePoint);
  const held = connection();
  expect(leader.accept(hello, held)).toHaveProperty("message", expect.any(Function));
  order({ sinceRun: 0, location: undefined });
  await vi.waitFor(() => expect(held.heard).toEqual(["closed"]), { timeout: 30_000 });
  expect(leader.fatal).toBeDefined();
  expect(leader.accept(hello, connection())).toMatchObject({ code: "NOT_LEADER" });
});
