// File storage: the contract, what others leave half done, and its errors.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { fileError } from "./file-errors.ts";
import { openStorage } from "./open-storage.ts";
import { snapshotStorageSuite } from "./storage.suite.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-storage-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const urlOf = (name: string): string => pathToFileURL(join(folder, name)).href;

snapshotStorageSuite("file", { open: () => openStorage(urlOf("suite")), openOptions: {}, bigBytes: 3_000_000 });

describe("file storage", () => {
  test("leaves no temporary files and no offers behind", async () => {
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

  test("what a process that died or stands still has offered keeps nobody out, and does not get into place later", async () => {
    const storage = await openStorage(urlOf("stopped"));
    const version = await storage.create("pointer", Buffer.from("1"));
    const offer = join(folder, "stopped/.pointer.offer");
    mkdirSync(offer);
    writeFileSync(join(offer, "abc"), "theirs");
    await storage.replace("pointer", Buffer.from("2"), version);
    expect(() => renameSync(join(offer, "abc"), join(folder, "stopped/pointer"))).toThrow("ENOENT");
    expect((await storage.get("pointer")).content.toString()).toBe("2");
    expect(readdirSync(join(folder, "stopped")).sort()).toEqual([".tmp", "pointer"]);
    expect(readdirSync(join(folder, "stopped/.tmp"))).toEqual([]);
  });

  test("while others change an object all the time it is told that the storage is not reached, and nothing is left", async () => {
    const storage = await openStorage(urlOf("busy"), { deadlineMs: 150 });
    const version = await storage.create("pointer", Buffer.from("1"));
    const offer = join(folder, "busy/.pointer.offer");
    mkdirSync(offer);
    let number = 0;
    const busy = setInterval(() => {
      writeFileSync(join(offer, `other-${++number}`), "theirs");
      rmSync(join(offer, `other-${number - 1}`), { force: true });
    }, 20);
    try {
      writeFileSync(join(offer, "other-0"), "theirs");
      await expect(storage.replace("pointer", Buffer.from("2"), version)).rejects.toMatchObject({ code: "STORAGE_UNREACHABLE" });
    } finally {
      clearInterval(busy);
    }
    expect((await storage.get("pointer")).content.toString()).toBe("1");
    expect(readdirSync(join(folder, "busy/.tmp"))).toEqual([]);
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
