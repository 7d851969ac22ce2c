// Work folders: of this process's own, removed at its end; those of processes that were killed are removed by the next one.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { makeWorkFolder } from "./work-folder.ts";

let parent: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "work-folder-test-"));
});
afterEach(() => rm(parent, { recursive: true, force: true }));

async function left(name: string, owner: unknown): Promise<string> {
  const path = join(parent, `millrace-work-${name}`);
  await mkdir(path);
  await writeFile(join(path, "owner.json"), JSON.stringify(owner));
  return path;
}

/** The id of a process that has ended. */
async function deadPid(): Promise<number> {
  const child = spawn(process.execPath, ["-e", ""]);
  await new Promise((resolve) => child.once("exit", resolve));
  return child.pid as number;
}

test("a folder is there until it is removed", async () => {
  const folder = await makeWorkFolder(parent);
  expect(existsSync(folder.path)).toBe(true);
  await folder.remove();
  expect(existsSync(folder.path)).toBe(false);
});

test("folders of processes that are gone are removed, and no others", async () => {
  const pid = await deadPid();
  const dead = await left("dead", { pid, host: hostname() });
  const alive = await left("alive", { pid: process.ppid, host: hostname() });
  const elsewhere = await left("elsewhere", { pid, host: "another" });
  const unknown = await Promise.all(
    [undefined, 0, -1, "12", null, 1.5].map((number, index) => left(`unknown-${index}`, { pid: number, host: hostname() })),
  );
  const nobody = join(parent, "millrace-work-nobody");
  await mkdir(nobody);
  const other = join(parent, "something-else");
  await mkdir(other);
  await makeWorkFolder(parent);
  expect([dead, alive, elsewhere, nobody, other].map((path) => existsSync(path))).toEqual([false, true, true, true, true]);
  expect(unknown.map((path) => existsSync(path))).toEqual(unknown.map(() => true));
});
