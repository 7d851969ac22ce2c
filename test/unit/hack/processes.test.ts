// The scripts of hack/ end only processes that they started, and two of them never work on one instance at the same time.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "vitest";

interface Recorded {
  readonly pid: number;
  readonly identity: string | undefined;
}
interface Processes {
  identityOf(pid: number): string | undefined;
  isAlive(recorded: Recorded | undefined): boolean;
  stop(recorded: Recorded, options?: { readonly signal?: string; readonly graceMs?: number }): Promise<boolean>;
}
interface State {
  withLock<Value>(name: string, work: () => Promise<Value>, options: { readonly folder: string; readonly waitMs?: number }): Promise<Value>;
}

const load = async (name: string): Promise<unknown> => import(new URL(`../../../hack/real/${name}.mjs`, import.meta.url).href);
const folder = mkdtempSync(join(tmpdir(), "millrace-test-"));
let processes: Processes;
let state: State;
beforeAll(async () => {
  processes = (await load("process")) as Processes;
  state = (await load("state")) as State;
});
const started: ChildProcess[] = [];
afterAll(() => {
  for (const child of started) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

function start(program: string): Recorded {
  const child = spawn(process.execPath, ["--eval", program], { stdio: "ignore" });
  started.push(child);
  const pid = child.pid ?? 0;
  return { pid, identity: processes.identityOf(pid) };
}
const stubborn = "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)";

test("a recorded process is ended, also one that ignores the first signal", async () => {
  const recorded = start(stubborn);
  expect(processes.isAlive(recorded)).toBe(true);
  await sleep(300);
  expect(await processes.stop(recorded, { graceMs: 300 })).toBe(true);
  expect(processes.isAlive(recorded)).toBe(false);
  expect(await processes.stop(recorded)).toBe(false);
});

test("another process that has the recorded pid is left alone", async () => {
  const recorded = start(stubborn);
  const earlier = { pid: recorded.pid, identity: "another process, which ended before" };
  expect(processes.isAlive(earlier)).toBe(false);
  expect(await processes.stop(earlier, { signal: "SIGKILL" })).toBe(false);
  await sleep(100);
  expect(processes.isAlive(recorded)).toBe(true);
  await processes.stop(recorded, { signal: "SIGKILL" });
});

test("nothing has no identity", () => {
  const { pid } = spawnSync(process.execPath, ["--version"]);
  expect(processes.identityOf(pid)).toBeUndefined();
  expect(processes.isAlive(undefined)).toBe(false);
  expect(processes.isAlive({ pid, identity: undefined })).toBe(false);
});

test("a lock lets one in at a time, in whatever way the work ends", async () => {
  let inside = 0;
  let most = 0;
  const work = async (): Promise<void> => {
    inside++;
    most = Math.max(most, inside);
    await sleep(20);
    inside--;
  };
  const failing = state.withLock("one", () => Promise.reject(new Error("broken")), { folder });
  await Promise.all([
    expect(failing).rejects.toThrow("broken"),
    ...Array.from({ length: 4 }, () => state.withLock("one", work, { folder })),
  ]);
  expect(most).toBe(1);
  expect(readdirSync(folder)).toEqual([]);
});

test("a lock is taken over from a process that is gone, and waited for otherwise", async () => {
  const holder = start(stubborn);
  writeFileSync(join(folder, "two.lock"), JSON.stringify(holder));
  await expect(state.withLock("two", () => Promise.resolve(), { folder, waitMs: 300 })).rejects.toThrow("has been held");
  await processes.stop(holder, { signal: "SIGKILL" });
  expect(await state.withLock("two", () => Promise.resolve("in"), { folder, waitMs: 300 })).toBe("in");
});
