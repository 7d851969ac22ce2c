// A capture larger than its part of the budget lies in a file of the instance until it is released; a disk that fails loses nothing in silence.
import { existsSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { isMillraceError } from "../../base/errors.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import type { KeyedStateBackend } from "../../core/ports/state-backend.ts";
import type { KeyedTable } from "../../core/ports/state.ts";
import { int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { type KeyKind, KeyMaker, storedState, takeCapture } from "../suite/fixture.suite.ts";
import { rocksdbBackend } from "./rocksdb-backend.ts";

const keySchema = schema({ id: int53() });
const kind: KeyKind = { name: "plain", schema: keySchema, layout: keyLayout(keySchema, ["id"]), valueOf: (i) => ({ id: i }) };
const value = schema({ text: string() });
const maxParallelism = 8;
const heapBytes = 2 ** 20;
const keptBytes = heapBytes / 16;
const textOf = (i: number, version: number): string => `${version}/${i}`.padEnd(500, String.fromCharCode(97 + (i % 26)));

interface Opened {
  readonly backend: KeyedStateBackend;
  readonly table: KeyedTable;
}

async function open(directory: string): Promise<Opened> {
  const keyGroups = { from: 0, to: maxParallelism };
  const options = { uid: "u", keyGroups, maxParallelism, clock: new ManualClock(0), directory };
  const backend = await rocksdbBackend({ heapBytes, blockCacheBytes: 2 ** 20, writeBufferBytes: 2 ** 20 }).open(options);
  return { backend, table: backend.state.table({ name: "t", key: kind.layout, value }) };
}

async function withOpened(run: (opened: Opened, directory: string, folder: string) => Promise<void>): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-captures-"));
  const directory = join(folder, "first");
  const opened = await open(directory);
  try {
    await run(opened, directory, folder);
  } finally {
    await opened.backend.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes entries `[from, to)`. */
function put({ table }: Opened, from: number, to: number, version = 1): void {
  const maker = new KeyMaker(kind);
  const slots = new Int32Array(64);
  for (let i = from; i < to; i += 64) {
    const numbers = Array.from({ length: Math.min(64, to - i) }, (_, k) => i + k);
    table.findAll(maker.keys(numbers), null, slots, true);
    numbers.forEach((number, k) => table.columns[0]?.setText(slots[k] as number, textOf(number, version)));
    table.touchAll(slots, numbers.length);
  }
}

/** The texts of entries `[0, count)`, one at a time: few fit the heap. */
function textsOf({ table }: Opened, count: number): readonly (string | undefined)[] {
  const maker = new KeyMaker(kind);
  const slots = new Int32Array(1);
  return Array.from({ length: count }, (_, i) => {
    table.findAll(maker.keys([i]), null, slots, false);
    return (slots[0] as number) < 0 ? undefined : table.columns[0]?.getText(slots[0] as number);
  });
}

const scratchIn = (directory: string): readonly string[] => readdirSync(directory).filter((name) => name.endsWith(".blocks"));
const codeOf = async (run: () => unknown): Promise<string> => {
  try {
    await run();
  } catch (error) {
    return isMillraceError(error) ? error.code : String(error);
  }
  return "none";
};

test("a small capture is in memory and needs no release", () =>
  withOpened(async (opened, directory) => {
    put(opened, 0, 50);
    const { blocks, release } = opened.backend.capture();
    expect([blocks.every(({ stored }) => stored === undefined), release, scratchIn(directory)]).toEqual([true, undefined, []]);
    await Promise.resolve();
  }));

test("a large capture is on disk but for its part of the budget, restores whole, and its file goes with the release", () =>
  withOpened(async (opened, directory, folder) => {
    const count = 8000;
    put(opened, 0, count);
    // Some twice: what was evicted first must not win.
    put(opened, 100, 400, 2);
    const { tables, blocks, release } = opened.backend.capture();
    const onDisk = blocks.filter(({ stored }) => stored !== undefined);
    const inMemory = blocks.filter(({ stored }) => stored === undefined).reduce((sum, { bytes }) => sum + bytes.length, 0);
    const stored = onDisk.reduce((sum, block) => sum + (block.stored?.sizeBytes ?? 0), 0);
    expect(stored).toBeGreaterThan(count * 500);
    expect(inMemory).toBeLessThanOrEqual(keptBytes);
    expect(blocks.map(({ keyGroup }) => keyGroup)).toEqual(blocks.map(({ keyGroup }) => keyGroup).sort((a, b) => a - b));
    for (const block of onDisk) expect(block.stored?.sizeBytes).toBe(block.bytes.length);
    for (const block of onDisk) expect(Buffer.compare((await block.stored?.read()) as Uint8Array, block.bytes)).toBe(0);
    expect(scratchIn(directory).length).toBe(1);

    const second = await open(join(folder, "second"));
    try {
      await second.backend.restore(storedState(tables, blocks));
      const wanted = Array.from({ length: count }, (_, i) => textOf(i, i >= 100 && i < 400 ? 2 : 1));
      expect(textsOf(second, count)).toEqual(wanted);
    } finally {
      await second.backend.close();
    }
    // Looked at now: what RocksDB itself takes changes whenever it compacts.
    const before = opened.backend.sizeBytes().disk;
    release?.();
    release?.();
    expect(scratchIn(directory)).toEqual([]);
    expect(before - opened.backend.sizeBytes().disk).toBeGreaterThanOrEqual(stored);
    // Too late is an error, and never other bytes.
    expect(await codeOf(() => onDisk[0]?.bytes)).toBe("STATE_STORE_FAILED");
    expect(await codeOf(() => onDisk[0]?.stored?.read())).toBe("STATE_STORE_FAILED");
  }));

test("captures that nobody released go when the instance is closed, or opened again after a crash", () =>
  withOpened(async (opened, directory, folder) => {
    put(opened, 0, 2000);
    opened.backend.capture();
    put(opened, 0, 2000, 2);
    opened.backend.capture();
    expect(scratchIn(directory).length).toBe(2);
    await opened.backend.close();
    expect(existsSync(directory)).toBe(false);
    const again = join(folder, "again");
    // As a crash leaves it.
    await mkdir(again);
    writeFileSync(join(again, "capture-7.blocks"), "left");
    const reopened = await open(again);
    expect(scratchIn(again)).toEqual([]);
    await reopened.backend.close();
  }));

test("a disk that is full fails the capture, and every later one: what it took cannot be told any more", () =>
  withOpened(async (opened, directory) => {
    put(opened, 0, 100);
    takeCapture(opened.backend);
    // Every write to it fails as on a full disk.
    for (const number of [2, 3]) symlinkSync("/dev/full", join(directory, `capture-${number}.blocks`));
    put(opened, 0, 2000);
    expect(await codeOf(() => opened.backend.capture())).toBe("STATE_STORE_FAILED");
    expect(await codeOf(() => opened.backend.capture())).toBe("STATE_STORE_FAILED");
    expect(scratchIn(directory)).toEqual(["capture-3.blocks"]);
  }));
