// Waits: woken by what settles first, asked once while it is pending, and a failure is heard.
import { expect, test } from "vitest";
import { systemClock } from "./clock.ts";
import { Waits } from "./waits.ts";

test("each thing is asked once until it settles, however often another one wakes", async () => {
  const waits = new Waits(systemClock);
  const idle = { asked: 0, ...Promise.withResolvers<void>() };
  const busy = { asked: 0 };
  for (let round = 0; round < 100; round++) {
    waits.watch(idle, () => (idle.asked++, idle.promise));
    waits.watch(busy, () => (busy.asked++, Promise.resolve()));
    await waits.sleep();
  }
  expect([idle.asked, busy.asked]).toEqual([1, 100]);
  idle.resolve();
  await waits.sleep();
  waits.watch(idle, () => (idle.asked++, Promise.resolve()));
  expect(idle.asked).toBe(2);
});

test("a failure rejects the sleep, also one that comes between two sleeps", async () => {
  const waits = new Waits(systemClock);
  waits.watch({}, () => Promise.reject(new Error("the broker is gone")));
  await Promise.resolve();
  await Promise.resolve();
  await expect(waits.sleep()).rejects.toThrow("the broker is gone");
});

test("a sleep ends at its limit, and a wake without a sleeper ends the next one", async () => {
  const waits = new Waits(systemClock);
  await waits.sleep(1);
  waits.wake();
  await waits.sleep();
});
