// Copies on disk: what was written together is there together, folders are shared by processes, and old copies go.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ManualClock } from "../../../base/clock.ts";
import { type ChangelogCopy, MemoryCopy } from "./changelog-copy.ts";
import { CopyStore } from "./copy-store.ts";

let folder = "";
const open: CopyStore[] = [];
const clock = new ManualClock(1_000_000);
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "copies-"));
});
afterEach(async () => {
  for (const store of open.splice(0)) await store.close();
  await rm(folder, { recursive: true, force: true });
});

async function store(): Promise<CopyStore> {
  const opened = await CopyStore.open(folder, "app", clock);
  open.push(opened);
  return opened;
}
const close = async (opened: CopyStore): Promise<void> => {
  open.splice(open.indexOf(opened), 1);
  await opened.close();
};
const bytes = (text: string): Uint8Array => Buffer.from(text, "latin1");
const content = (copy: ChangelogCopy): readonly string[] =>
  [...copy.records()].map(([key, value]) => `${Buffer.from(key).toString("latin1")}=${Buffer.from(value).toString("latin1")}`).toSorted();

test("records and position come back together, those without a position not at all", async () => {
  const first = await store();
  const copy = first.copy("app-count-changelog", 3);
  copy.apply(bytes("a"), bytes("1"));
  copy.apply(bytes("b\xff\xff"), bytes(""));
  copy.apply(bytes("c"), bytes("3"));
  copy.advance(17);
  copy.apply(bytes("a"), bytes("2"));
  copy.apply(bytes("c"), null);
  await close(first);
  const again = (await store()).copy("app-count-changelog", 3);
  expect([again.position, content(again)]).toEqual([17, ["a=1", "b\xff\xff=", "c=3"]]);
  again.apply(bytes("a"), bytes("2"));
  again.apply(bytes("c"), null);
  again.advance(19);
  expect([again.position, content(again)]).toEqual([19, ["a=2", "b\xff\xff="]]);
});

test("copies of other partitions and topics stay apart, and one is forgotten without the others", async () => {
  const opened = await store();
  const copies = [opened.copy("t", 0), opened.copy("t", 1), opened.copy("t", 256), opened.copy("ta", 0)];
  copies.forEach((copy, index) => {
    copy.apply(bytes("k"), bytes(String(index)));
    copy.advance(index + 1);
  });
  expect(copies.map(content)).toEqual([["k=0"], ["k=1"], ["k=2"], ["k=3"]]);
  copies[1]?.clear();
  expect(copies.map(content)).toEqual([["k=0"], [], ["k=2"], ["k=3"]]);
  expect(opened.copies().map((each) => [each.topic, each.partition, each.position])).toEqual([
    ["t", 0, 1],
    ["t", 256, 3],
    ["ta", 0, 4],
  ]);
});

test("records are read by what their keys begin with, up to the last key that does", async () => {
  const opened = await store();
  for (const copy of [opened.copy("t", 0), new MemoryCopy()]) {
    const keys = ["\x01", "\x01a", "\x01a\xff", "\x01b", "\x02", "\x02\xff", "\x02\xff\xff", "\x02\xff\xff\x01", "\x03"];
    for (const key of keys.toReversed()) copy.apply(bytes(key), bytes(`value of ${key}`));
    copy.advance(1);
    const beginning = (prefix: string): readonly string[] =>
      [...copy.records(bytes(prefix))].map(([key]) => Buffer.from(key).toString("latin1")).toSorted();
    for (const prefix of ["", "\x01", "\x01a", "\x02\xff", "\x02\xff\xff", "\x03", "\x03a", "\x04"]) {
      expect(beginning(prefix)).toEqual(keys.filter((key) => key.startsWith(prefix)));
      // The value says which key it is of.
      const value = copy.get(bytes(prefix));
      expect(value && Buffer.from(value).toString("latin1")).toBe(keys.includes(prefix) ? `value of ${prefix}` : undefined);
    }
  }
});

test("a second process gets a part of the folder of its own, and the first part again when it is free", async () => {
  const first = await store();
  const second = await store();
  expect(second.scratchDirectory).not.toBe(first.scratchDirectory);
  await close(first);
  expect((await store()).scratchDirectory).toBe(first.scratchDirectory);
});

test("copies that nobody has used for long are deleted, but not those that somebody uses", async () => {
  const opened = await store();
  const [used, unused] = [opened.copy("t", 0), opened.copy("t", 1)];
  for (const copy of [used, unused]) {
    copy.apply(bytes("k"), bytes("v"));
    copy.advance(1);
  }
  clock.advance(1000);
  opened.clean(2000, () => false);
  expect(opened.copies().length).toBe(2);
  clock.advance(1001);
  opened.clean(2000, (_topic, partition) => partition === 0);
  expect(opened.copies().map((each) => each.partition)).toEqual([0]);
  expect(content(unused)).toEqual([]);
});

test("a folder that cannot be one is named", async () => {
  await expect(CopyStore.open("/dev/null", "app", clock)).rejects.toMatchObject({ code: "EMBEDDED_STATE_DIRECTORY" });
});
