// File storage: the contract, its lock when an owner dies, and its errors.
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { fileError } from "./file-errors.ts";
import { withFileLock } from "./file-lock.ts";
import { openStorage } from "./open-storage.ts";
import { snapshotStorageSuite } from "./storage.suite.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-storage-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const urlOf = (name: string): string => pathToFileURL(join(folder, name)).href;

snapshotStorageSuite("file", { open: () => openStorage(urlOf("suite")), openOptions: {}, bigBytes: 3_000_000 });

describe("file storage", () => {
  test("leaves no temporary files and no locks behind", async () => {
    const storage = await openStorage(urlOf("clean"));
    const version = await storage.create("one/pointer", Buffer.from("1"));
    await storage.replace("one/pointer", Buffer.from("2"), version);
    await expect(storage.create("one/pointer", Buffer.from("3"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
    await expect(storage.replace("one/pointer", Buffer.from("3"), version)).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
    expect(readdirSync(join(folder, "clean/.tmp"))).toEqual([]);
    expect(readdirSync(join(folder, "clean/one"))).toEqual(["pointer"]);
    await storage.delete(["one/pointer"]);
    expect(existsSync(join(folder, "clean/one"))).toBe(false);
  });

  test("the lock of a process that died is broken at once", async () => {
    const storage = await openStorage(urlOf("dead"));
    const version = await storage.create("pointer", Buffer.from("1"));
    const died = spawnSync(process.execPath, ["-e", ""]).pid;
    const boot = "/proc/sys/kernel/random/boot_id";
    const domain = existsSync(boot) ? `${readFileSync(boot, "utf8").trim()} ${readlinkSync("/proc/self/ns/pid")}` : `${process.platform} `;
    const lock = join(folder, "dead/.pointer.lock");
    writeFileSync(lock, JSON.stringify({ token: "abc", domain, pid: died, started: "1" }));
    const startMs = performance.now();
    await storage.replace("pointer", Buffer.from("2"), version);
    expect(performance.now() - startMs).toBeLessThan(2_000);
    // A living process with the same id but another start is another process.
    writeFileSync(lock, JSON.stringify({ token: "abd", domain, pid: process.ppid, started: "1" }));
    await storage.replace("pointer", Buffer.from("3"), (await storage.get("pointer")).version);
    expect(readdirSync(join(folder, "dead")).sort()).toEqual([".tmp", "pointer"]);
  });

  test("the lock of a living process is respected until the deadline", async () => {
    const storage = await openStorage(urlOf("alive"), { deadlineMs: 200 });
    const version = await storage.create("pointer", Buffer.from("1"));
    await withFileLock(join(folder, "alive/.pointer.lock"), 1_000, async () => {
      await expect(storage.replace("pointer", Buffer.from("2"), version)).rejects.toMatchObject({ code: "STORAGE_UNREACHABLE" });
    });
    await storage.replace("pointer", Buffer.from("2"), version);
  });

  test("a folder that must exist and does not is STORAGE_MISSING; a file in its place too", async () => {
    await expect(openStorage(urlOf("not/there"), { mustExist: true })).rejects.toMatchObject({ code: "STORAGE_MISSING" });
    writeFileSync(join(folder, "plain"), "x");
    await expect(openStorage(urlOf("plain"), { mustExist: true })).rejects.toMatchObject({ code: "STORAGE_MISSING" });
  });

  test.each([
    ["ENOENT", "OBJECT_MISSING"],
    ["EACCES", "STORAGE_DENIED"],
    ["EROFS", "STORAGE_DENIED"],
    ["ENOSPC", "STORAGE_FULL"],
    ["EDQUOT", "STORAGE_FULL"],
    ["ESTALE", "STORAGE_UNREACHABLE"],
  ])("the system error %s becomes %s", (system, code) => {
    expect(fileError(Object.assign(new Error(system), { code: system }), "file:///x", "y")).toMatchObject({ code });
  });
});

describe("storage URLs", () => {
  test.each([
    ["ftp://x/y", "unknown scheme ftp"],
    ["s3:", "names no bucket"],
    ["s3:///", "names no bucket"],
    ["s3://bucket/../x", 'the part ".."'],
    ["file://elsewhere/x", "not a file URL of this machine"],
    ["", "is empty"],
  ])("%s is refused", async (url, problem) => {
    const error = await openStorage(url).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "OPTION_INVALID" });
    expect(String(error)).toContain(problem);
  });
});
