// A run that stands by starts once, with the first order that is its own.
import { expect, test } from "vitest";
import type { LeaseStore } from "../../drivers/cluster/leadership/lease.ts";
import { parseOrder, Standby } from "./standby.ts";

const order = { run: 7, restore: { sinceRun: 7, location: "file:///snapshots/a" } };
const silent = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent } as unknown as Parameters<Standby["watch"]>[1];
const leaseWith = (note: () => Promise<string | undefined>): LeaseStore => ({
  read: () => Promise.resolve(undefined),
  write: () => Promise.resolve(true),
  close: () => Promise.resolve(),
  note,
});

test("the first order counts, the same again is no error, and another run's is refused", async () => {
  const standby = new Standby(7);
  expect(standby.isWaiting).toBe(true);
  expect(() => standby.accept({ ...order, run: 8 })).toThrow(expect.objectContaining({ code: "RUN_OTHER" }));
  expect(standby.isWaiting).toBe(true);
  standby.accept(order);
  standby.accept({ run: 7, restore: { sinceRun: 0 } });
  expect(await standby.ordered).toEqual(order);
  expect(standby.isWaiting).toBe(false);
});

test("an order on the lease is found, also after the lease could not be read", async () => {
  let looks = 0;
  const lease = leaseWith(() => (++looks === 1 ? Promise.reject(new Error("away")) : Promise.resolve(JSON.stringify(order))));
  const standby = new Standby(7);
  await standby.watch(lease, silent, () => false);
  expect(await standby.ordered).toEqual(order);
  expect(looks).toBe(2);
});

test.each([
  [{}],
  [{ run: 1 }],
  [{ run: "1", restore: { sinceRun: 1 } }],
  [{ run: 1, restore: { sinceRun: -1 } }],
  [{ run: 1, restore: { sinceRun: 1, location: 4 } }],
  [undefined],
])("%j is no order", (value) => {
  expect(() => parseOrder(value)).toThrow(expect.objectContaining({ code: "REQUEST_INVALID" }));
});
