// The workqueue: each key once, at one worker at a time, changes first, failures later and later.
import { expect, test } from "vitest";
import { VirtualTime } from "../simulation/virtual-time.ts";
import { Workqueue } from "./workqueue.ts";

const open = (time = new VirtualTime()): { time: VirtualTime; queue: Workqueue } => ({
  time,
  queue: new Workqueue({ clock: time, random: () => 0.5, minBackoffMs: 100, maxBackoffMs: 1_000 }),
});

test("a key that is added twice is taken once", async () => {
  const { queue } = open();
  queue.add("a");
  queue.add("a", "resync");
  queue.add("b");
  expect(queue.depth).toBe(2);
  expect([await queue.next(), await queue.next()]).toEqual(["a", "b"]);
  expect(queue.depth).toBe(0);
});

test("changes go before resyncs, also when a resync becomes a change", async () => {
  const { queue } = open();
  queue.add("quiet", "resync");
  queue.add("urgent", "resync");
  queue.add("new", "change");
  queue.add("urgent", "change");
  expect([await queue.next(), await queue.next(), await queue.next()]).toEqual(["new", "urgent", "quiet"]);
});

test("a key that changes while it is processed comes again after that, and not before", async () => {
  const { queue } = open();
  queue.add("a");
  await queue.next();
  queue.add("a");
  queue.add("a");
  expect(queue.depth).toBe(0);
  queue.done("a");
  expect(queue.depth).toBe(1);
  await queue.next();
  queue.done("a");
  expect(queue.depth).toBe(0);
});

test("a key is never at two workers", async () => {
  const { queue } = open();
  const waiting = queue.next();
  queue.add("a");
  expect(await waiting).toBe("a");
  let taken = false;
  void queue.next().then(() => {
    taken = true;
  });
  queue.add("a");
  await new Promise((resolve) => setImmediate(resolve));
  expect(taken).toBe(false);
  queue.done("a");
  await new Promise((resolve) => setImmediate(resolve));
  expect(taken).toBe(true);
});

test("failures wait 100, 200, 400 ms and so on up to a second, and a success starts over", async () => {
  const { queue, time } = open();
  const pauses: number[] = [];
  const fail = async (): Promise<void> => {
    const startMs = time.now();
    queue.retry("a");
    await time.until(() => queue.depth === 1, 10_000);
    pauses.push(time.now() - startMs);
    await queue.next();
    queue.done("a");
  };
  for (let i = 0; i < 6; i++) await fail();
  queue.forget("a");
  await fail();
  expect(pauses).toEqual([100, 200, 400, 800, 1000, 1000, 100]);
});

test("a server that asks for a longer pause gets it", async () => {
  const { queue, time } = open();
  queue.retry("a", 5_000);
  await time.pass(4_900);
  expect(queue.depth).toBe(0);
  await time.pass(200);
  expect(queue.depth).toBe(1);
});

test("of several delays the earliest counts", async () => {
  const { queue, time } = open();
  queue.addAfter("a", 1_000);
  queue.addAfter("a", 100);
  queue.addAfter("a", 5_000);
  await time.pass(150);
  expect(queue.depth).toBe(1);
  await queue.next();
  queue.done("a");
  await time.pass(10_000);
  expect(queue.depth).toBe(0);
});

test("closing lets all workers go", async () => {
  const { queue } = open();
  const workers = [queue.next(), queue.next()];
  queue.close();
  expect(await Promise.all(workers)).toEqual([undefined, undefined]);
  queue.add("a");
  expect(await queue.next()).toBeUndefined();
});
