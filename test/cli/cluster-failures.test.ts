// What a cluster's leader tells of failures: the record that no attempt survives, and checkpoints that could not be written.
import { mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { build, Command, jobs, workFolder } from "./command.ts";
import { expectedCounts, readings, seenCounts, writeInput } from "./readings.ts";

const folder = workFolder();
const timeoutMs = 240_000;
const lists = [readings(2000), readings(2000, 7)];

beforeAll(build, timeoutMs);

/** A manifest, and the two kinds of processes that run it. */
function cluster(name: string, spec: object): (role: "jobmanager" | "taskmanager", ...args: readonly string[]) => Command {
  const place = join(folder, name);
  mkdirSync(place, { recursive: true });
  const manifest = join(place, "job.json");
  writeFileSync(manifest, JSON.stringify({ apiVersion: "millrace.dev/v1alpha1", kind: "StreamJob", metadata: { name }, spec }));
  const shared = ["-f", manifest, "--host", "127.0.0.1", "--port", "0", "--run", "1", "--log", "json"];
  return (role, ...args) => {
    const own = role === "jobmanager" ? ["--rpc-port", "0"] : ["--slots", "1", "--work-dir", place];
    return new Command([role, ...own, ...shared, ...args]);
  };
}

async function until<T>(what: string, look: () => Promise<T | undefined>, from: Command): Promise<T> {
  const endMs = Date.now() + 120_000;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > endMs) expect.fail(`waited for ${what}:\n${from.stdout}${from.stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Makes `link` lead to `target`, in one step: nobody finds it missing. */
function lead(link: string, target: string): void {
  const next = join(folder, "next-link");
  symlinkSync(target, next);
  renameSync(next, link);
}

async function ask<T>(rest: string, path: string): Promise<T> {
  return (await (await fetch(`${rest}${path}`)).json()) as T;
}

interface Exceptions {
  readonly history: readonly { readonly code: string; readonly message: string; readonly uid?: string }[];
  readonly poison: readonly { readonly uid: string; readonly splitId: string; readonly position: number; readonly lastMessage: string }[];
  readonly recoveries: readonly { readonly code: string; readonly runningAtMs: number | null }[];
}

test("a record that its function cannot take is told with its split and position, and why the job has failed", {
  timeout: timeoutMs,
}, async () => {
  const input = writeInput(join(folder, "poisoned"), ...lists);
  const row = 700;
  const worst = String(lists[1]?.[row]?.at);
  // A file's positions are bytes.
  const position = (lists[1] ?? []).slice(0, row).reduce((sum, reading) => sum + Buffer.byteLength(`${JSON.stringify(reading)}\n`), 0);
  const start = cluster("poison", {
    job: { module: join(jobs, "poison.ts"), parameters: { input, output: join(folder, "poison-out"), worst } },
    parallelism: 2,
    checkpoints: { storage: pathToFileURL(join(folder, "poison-snapshots")).href, interval: "200 ms" },
    badRecords: { onBadRecord: "fail" },
  });
  const leader = start("jobmanager");
  for (let i = 0; i < 2; i++) start("taskmanager");
  const rest = String((await leader.logged("job manager started"))["rest"]);
  await leader.logged("job is over");
  const { poison, history } = await ask<Exceptions>(rest, "/v1/exceptions");
  expect(poison).toHaveLength(1);
  expect(poison[0]).toMatchObject({ uid: "picky", lastMessage: expect.stringContaining("cannot take it") as string });
  expect(poison[0]?.splitId).toContain("part-1.ndjson");
  expect(poison[0]?.position).toBe(position);
  expect(history.at(-1)).toMatchObject({ code: "FUNCTION_FAILED", uid: "picky" });
  const job = await ask<{ state: string; lastFailure: string }>(rest, "/v1/job");
  expect(job.state).toBe("failed");
  expect(job.lastFailure).toContain(`position ${position} of split ${poison[0]?.splitId ?? ""}`);
});

test("a checkpoint may fail as often as the manifest says, then its slices restart, and the reasons are kept", {
  timeout: timeoutMs,
}, async () => {
  const input = writeInput(join(folder, "input"), ...lists);
  const output = join(folder, "output");
  const snapshots = join(folder, "snapshots");
  // The folder of data files is a link. A folder is made with the first file, which need not be of the first checkpoint (nothing is in
  // state yet), goes with the last, and is made again by whoever writes while it is away.
  const data = join(snapshots, "counts", "data");
  const dataFiles = join(folder, "data-files");
  const noFolder = join(folder, "no-folder");
  for (const made of [dirname(data), dataFiles]) mkdirSync(made, { recursive: true });
  writeFileSync(noFolder, "");
  lead(data, dataFiles);
  const start = cluster("counts", {
    job: { module: join(jobs, "counts.ts"), parameters: { input, output, rate: "150" } },
    parallelism: 2,
    checkpoints: { storage: pathToFileURL(snapshots).href, interval: "200 ms", tolerableFailures: 2 },
    restarts: { strategy: "fixed-delay", maxAttempts: 1000, delay: "100 ms" },
  });
  const leadership = ["--leadership-dir", pathToFileURL(join(folder, "leadership")).href];
  const leader = start("jobmanager", "--exit-at-end", ...leadership);
  for (let i = 0; i < 2; i++) start("taskmanager", ...leadership);
  const rest = String((await leader.logged("job manager started"))["rest"]);
  interface Checkpoint {
    readonly phase: string;
    readonly failures: readonly string[];
  }
  const checkpoints = async (): Promise<readonly Checkpoint[]> =>
    (await ask<{ checkpoints?: readonly Checkpoint[] }>(rest, "/v1/checkpoints")).checkpoints ?? [];
  await until("a checkpoint", async () => (await checkpoints()).find(({ phase }) => phase === "completed"), leader);
  // Data files can no longer be written: a file stands where their folder was.
  lead(data, noFolder);
  const failed = await until(
    "the limit to be passed",
    async () => (await ask<Exceptions>(rest, "/v1/exceptions")).history.find(({ code }) => code === "CHECKPOINT_FAILED"),
    leader,
  );
  expect(failed.message).toContain("write");
  const reasons = (await checkpoints()).find(({ failures }) => failures.length > 0)?.failures ?? [];
  expect(reasons.length).toBeGreaterThan(2);
  expect(reasons[0]).toMatch(/^write at slot \d: /);
  lead(data, dataFiles);
  await leader.logged("job is over");
  await leader.endsWith(0);
  expect(seenCounts(output)).toEqual(expectedCounts(lists.flat()));
});
