// The lock between processes: what happens to a lock whose owner took too long.
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { withFileLock } from "./file-lock.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-lock-"));
const path = join(folder, "lock");
afterEach(() => rmSync(path, { force: true }));

test("an owner that took longer than it may still gives the lock back", async () => {
  const held = await withFileLock(
    path,
    10_000,
    async (stillHeld) => {
      await sleep(30);
      return stillHeld();
    },
    10,
  );
  expect(held).toBe(false);
  expect(existsSync(path)).toBe(false);
});

test("an owner that took too long leaves a lock alone that is another's by now", async () => {
  await withFileLock(
    path,
    10_000,
    async () => {
      await sleep(30);
      writeFileSync(path, "another's");
    },
    10,
  );
  expect(existsSync(path)).toBe(true);
});
