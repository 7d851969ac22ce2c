// What every snapshot storage must do. Each implementation's test calls this.
import { randomBytes } from "node:crypto";
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import type { StorageOptions } from "./open-storage.ts";

export interface StorageUnderTest {
  /** A storage with nothing in it. */
  open(): Promise<SnapshotStorage>;
  /** What another process opens the same storage with; undefined for a storage that other processes cannot see. */
  readonly openOptions: StorageOptions | undefined;
  /** Size of an object that the storage does not send in one piece. */
  readonly bigBytes: number;
}

const bytes = (text: string): Buffer => Buffer.from(text);
const pathsOf = async (storage: SnapshotStorage, prefix: string): Promise<string[]> => {
  const paths: string[] = [];
  for await (const { path } of storage.list(prefix)) paths.push(path);
  return paths;
};

export function snapshotStorageSuite(name: string, under: StorageUnderTest): void {
  describe(`snapshot storage: ${name}`, () => {
    let storage: SnapshotStorage;
    beforeAll(async () => {
      storage = await under.open();
    });
    afterAll(() => storage.close());

    test("what was put is read back, whole and in ranges", async () => {
      await storage.put("a/b/object", [bytes("hello "), bytes("world")]);
      expect((await storage.get("a/b/object")).content.toString()).toBe("hello world");
      expect((await storage.getRange("a/b/object", 3, 8)).toString()).toBe("lo wo");
      expect((await storage.getRange("a/b/object", 0, 0)).length).toBe(0);
      await storage.put("empty", bytes(""));
      expect((await storage.get("empty")).content.length).toBe(0);
    });

    test("a range that passes the end is shorter", async () => {
      await storage.put("short", bytes("12345"));
      expect((await storage.getRange("short", 3, 100)).toString()).toBe("45");
      expect((await storage.getRange("short", 5, 9)).length).toBe(0);
      expect((await storage.getRange("short", 50, 90)).length).toBe(0);
    });

    test("put replaces, and the version follows the content", async () => {
      await storage.put("again", bytes("one"));
      const first = await storage.get("again");
      await storage.put("again", bytes("two"));
      const second = await storage.get("again");
      expect(second.content.toString()).toBe("two");
      expect(second.version).not.toBe(first.version);
      expect((await storage.get("again")).version).toBe(second.version);
    });

    test("a missing object is OBJECT_MISSING and deleting it is no error", async () => {
      await expect(storage.get("nothing/here")).rejects.toMatchObject({ code: "OBJECT_MISSING" });
      await expect(storage.getRange("nothing/here", 0, 5)).rejects.toMatchObject({ code: "OBJECT_MISSING" });
      await storage.delete(["nothing/here", "nothing/there"]);
    });

    test("create makes an object once", async () => {
      const version = await storage.create("made/once", bytes("first"));
      await expect(storage.create("made/once", bytes("second"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
      await expect(storage.create("made/once", bytes("first"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
      expect(await storage.get("made/once")).toEqual({ content: bytes("first"), version });
    });

    test("replace needs the current version", async () => {
      const first = await storage.create("pointer", bytes("1"));
      const second = await storage.replace("pointer", bytes("2"), first);
      await expect(storage.replace("pointer", bytes("3"), first)).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
      expect((await storage.get("pointer")).content.toString()).toBe("2");
      await storage.replace("pointer", bytes("4"), second);
      expect((await storage.get("pointer")).content.toString()).toBe("4");
      await storage.delete(["pointer"]);
      await expect(storage.replace("pointer", bytes("5"), second)).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
      await expect(storage.replace("never/was", bytes("5"), second)).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
      await expect(storage.get("pointer")).rejects.toMatchObject({ code: "OBJECT_MISSING" });
    });

    test("of many that create or replace at once, one wins", async () => {
      const outcomes = async (attempts: readonly Promise<unknown>[]): Promise<number> =>
        (await Promise.allSettled(attempts)).filter((one) => one.status === "fulfilled").length;
      for (let round = 0; round < 5; round++) {
        const path = `race/${round}`;
        expect(await outcomes(Array.from({ length: 6 }, (_, i) => storage.create(path, bytes(`made ${i}`))))).toBe(1);
        const { version } = await storage.get(path);
        expect(await outcomes(Array.from({ length: 6 }, (_, i) => storage.replace(path, bytes(`replaced ${i}`), version)))).toBe(1);
      }
    });

    if (under.openOptions !== undefined) processRace(() => storage, under.openOptions);

    test("lists by prefix, in order of whole paths", async () => {
      const made = ["list/a", "list/a-b/c", "list/ab/b", "list/ab-c/d", "list/z/y/x", "listing"];
      for (const path of made) await storage.put(path, bytes(path));
      expect(await pathsOf(storage, "list/")).toEqual(["list/a", "list/a-b/c", "list/ab-c/d", "list/ab/b", "list/z/y/x"]);
      expect(await pathsOf(storage, "list/a")).toEqual(["list/a", "list/a-b/c", "list/ab-c/d", "list/ab/b"]);
      expect(await pathsOf(storage, "list/z/y/")).toEqual(["list/z/y/x"]);
      expect(await pathsOf(storage, "no/such/")).toEqual([]);
      for await (const object of storage.list("listing")) {
        expect(object.sizeBytes).toBe("listing".length);
        expect(Math.abs(object.modifiedMs - Date.now())).toBeLessThan(120_000);
      }
      await storage.delete(["list/a-b/c", "list/z/y/x"]);
      expect(await pathsOf(storage, "list/")).toEqual(["list/a", "list/ab-c/d", "list/ab/b"]);
    });

    test("a listing is whole when there are more objects than fit an answer", async () => {
      const paths = Array.from({ length: 1_050 }, (_, i) => `many/${String(i).padStart(5, "0")}`);
      for (let from = 0; from < paths.length; from += 50)
        await Promise.all(paths.slice(from, from + 50).map((path) => storage.put(path, bytes("x"))));
      expect(await pathsOf(storage, "many/")).toEqual(paths);
      await storage.delete(paths);
      expect(await pathsOf(storage, "many/")).toEqual([]);
    });

    test("a streamed object is there whole after finish, and not before", async () => {
      const chunks = Array.from({ length: 40 }, () => randomBytes(Math.ceil(under.bigBytes / 40)));
      const writer = storage.openWriter("streamed/big");
      for (const chunk of chunks) await writer.write(chunk);
      await expect(storage.get("streamed/big")).rejects.toMatchObject({ code: "OBJECT_MISSING" });
      expect(await pathsOf(storage, "streamed/")).toEqual([]);
      await writer.finish();
      await writer.abort();
      const whole = Buffer.concat(chunks);
      expect((await storage.get("streamed/big")).content.equals(whole)).toBe(true);
      const at = whole.length - 100_000;
      expect((await storage.getRange("streamed/big", at, at + 70_000)).equals(whole.subarray(at, at + 70_000))).toBe(true);
    });

    test("an aborted stream leaves nothing", async () => {
      const writer = storage.openWriter("streamed/aborted");
      await writer.write(randomBytes(under.bigBytes));
      await writer.abort();
      await writer.abort();
      expect(await pathsOf(storage, "streamed/aborted")).toEqual([]);
      expect(await storage.cleanUnfinished(0)).toBe(0);
    });

    test("what a dead writer left is removed once it is old enough", async () => {
      const writer = storage.openWriter("streamed/forgotten");
      await writer.write(randomBytes(under.bigBytes));
      expect(await storage.cleanUnfinished(3_600_000)).toBe(0);
      expect(await storage.cleanUnfinished(-60_000)).toBe(1);
      await writer.abort().catch(() => undefined);
    });

    test("paths that leave the root or name hidden files are refused", async () => {
      for (const path of ["../x", "a//b", "/a", "a/", ".tmp/x", "a/../b", ""]) {
        await expect((async () => storage.put(path, bytes("x")))()).rejects.toThrow("is an object path");
      }
    });
  });
}

function processRace(storage: () => SnapshotStorage, options: StorageOptions): void {
  test("two processes that race for create and replace never both win", async () => {
    const rounds = 25;
    const racers = [0, 1].map((id) =>
      fork(racerPath, {
        stdio: ["ignore", "inherit", "inherit", "ipc"],
        env: { ...process.env, RACER: JSON.stringify({ id, rounds, url: storage().url, options }) },
      }),
    );
    const results = await Promise.all(
      racers.map(
        (racer) =>
          new Promise<{ created: boolean[]; steps: number }>((resolve, reject) => {
            racer.once("message", (message) => resolve(message as { created: boolean[]; steps: number }));
            racer.once("exit", (code) => reject(new Error(`racer ended with ${code}`)));
          }),
      ),
    );
    const [one, two] = results as [{ created: boolean[]; steps: number }, { created: boolean[]; steps: number }];
    for (let round = 0; round < rounds; round++) expect([one.created[round], two.created[round]].filter(Boolean).length).toBe(1);
    // Each success raised the counter by one, so a step that both won would be missing here.
    const counter = Number((await storage().get("race/counter")).content.toString());
    expect(counter).toBe(one.steps + two.steps);
    expect(one.steps).toBe(rounds);
    expect(two.steps).toBe(rounds);
  });
}

const racerPath = fileURLToPath(new URL("storage-racer.suite.ts", import.meta.url));
