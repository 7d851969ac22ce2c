// A lease in the storage is input: what is damaged counts as the lease of somebody unknown, so that there are never two leaders, and always one in the end.
import { expect, test } from "vitest";
import { ManualClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { MemoryStorage } from "../../../checkpoint/storage/memory-storage.ts";
import { Elector } from "./elector.ts";
import { addressOf, type LeaseRecord } from "./lease.ts";
import { storageLease } from "./storage-lease.ts";

const record: LeaseRecord = {
  holder: "one",
  renewals: 1,
  durationMs: 15_000,
  address: { rpc: "one:6123", rest: "http://one:8081" },
  released: false,
};
const path = "job/leader.json";
const intact = { ...record, process: { domain: "elsewhere", pid: 7, started: "1" } };
const damages: readonly (readonly [name: string, content: string, damage: string])[] = [
  ["nothing", "", "it is no JSON"],
  ["text that is cut off", JSON.stringify(intact).slice(0, 40), "it is no JSON"],
  ["another document", JSON.stringify(["a", "b"]), 'it is ["a","b"], not an object'],
  ["null", "null", "it is null, not an object"],
  ["no holder", JSON.stringify({ ...intact, holder: undefined }), "holder is missing, not there"],
  ["an empty holder", JSON.stringify({ ...intact, holder: "" }), 'holder is "", not a name'],
  ["no address", JSON.stringify({ ...intact, address: undefined }), "address is missing, not there"],
  [
    "a duration that never ends",
    JSON.stringify({ ...intact, durationMs: 1e300 }),
    "durationMs is 1e+300, not a whole number from 1 to 86400000",
  ],
  ["a duration of nothing", JSON.stringify({ ...intact, durationMs: 0 }), "durationMs is 0, not a whole number from 1 to 86400000"],
  ["a word for whether it is released", JSON.stringify({ ...intact, released: "no" }), 'released is "no", not true or false'],
  [
    "a process that is a group of them",
    JSON.stringify({ ...intact, process: { ...intact.process, pid: -1 } }),
    "process.pid is -1, not a whole number from 1 to 2147483647",
  ],
  ["a process without a number", JSON.stringify({ ...intact, process: { domain: "elsewhere" } }), "process.pid is missing, not there"],
];

async function overwrite(storage: MemoryStorage, content: string): Promise<void> {
  const found = await storage.get(path).catch(() => undefined);
  if (found === undefined) await storage.create(path, Buffer.from(content));
  else await storage.replace(path, Buffer.from(content), found.version);
}

test.each(damages)("a stored lease that holds %s is that of a holder without a name", async (_name, content, damage) => {
  const storage = new MemoryStorage();
  await overwrite(storage, content);
  const store = await storageLease(storage, path);
  const state = await store.read();
  expect(state).toMatchObject({ record: { holder: "", durationMs: 15_000, released: false }, holderIsDead: false });
  expect(state?.damage).toBe(`${storage.url}/${path}: ${damage}`);
  expect(addressOf(state?.record)).toBeUndefined();
  store.watchHolder?.(() => expect.fail("nobody is known to have died"))();
});

test("a stored lease without a process holds as any does; only its holder's death is not seen", async () => {
  const storage = new MemoryStorage();
  const { process: _, ...rest } = intact;
  await overwrite(storage, JSON.stringify(rest));
  const state = await (await storageLease(storage, path)).read();
  expect(state).toEqual({ record, version: state?.version, holderIsDead: false });
  expect(addressOf(state?.record)?.rpc).toBe("one:6123");
});

test.each(damages)(
  "a leader whose lease is overwritten by %s stops, and another takes it when it would have ended",
  async (_name, content) => {
    const storage = new MemoryStorage();
    const clock = new ManualClock();
    const times = { durationMs: 15_000, renewMs: 10_000, retryMs: 2000 };
    let open = 0;
    const events: string[] = [];
    const electors = await Promise.all(
      ["one", "two"].map(async (holder) => {
        const store = await storageLease(storage, path);
        const counted = async <T>(call: Promise<T>): Promise<T> => {
          open++;
          return call.finally(() => open--);
        };
        return new Elector({
          holder,
          address: { rpc: `${holder}:6123`, rest: `http://${holder}:8081` },
          store: {
            read: () => counted(store.read()),
            write: (written, version) => counted(store.write(written, version)),
            close: () => store.close(),
          },
          times,
          clock,
          random: () => 0.5,
          log: { ...silentLog, warn: (message) => events.push(`${holder}: ${message}`) },
          lead: () => events.push(`${holder} leads at ${clock.now()}`),
          lost: (reason) => events.push(`${holder} lost: ${reason.split(":")[0]}`),
        });
      }),
    );
    const [one, two] = electors as [Elector, Elector];
    const advance = async (ms: number): Promise<void> => {
      for (let passed = 0; passed < ms; passed += 500) {
        clock.advance(500);
        for (let quiet = 0; quiet < 10; quiet = open === 0 ? quiet + 1 : 0) await new Promise(setImmediate);
        expect(one.isLeading && two.isLeading).toBe(false);
      }
    };
    one.start();
    await advance(1000);
    two.start();
    await advance(3000);
    expect([one.isLeading, two.leader?.rpc]).toEqual([true, "one:6123"]);
    await overwrite(storage, content);
    await advance(2500);
    expect([one.isLeading, two.isLeading, one.leader, two.leader]).toEqual([false, false, undefined, undefined]);
    await one.stop();
    await advance(11_500);
    // 14 s after it was overwritten an intact one would still count.
    expect(two.isLeading).toBe(false);
    await advance(4000);
    expect([two.isLeading, (await (await storageLease(storage, path)).read())?.record.holder]).toEqual([true, "two"]);
    expect(events.filter((event) => event.startsWith("two")).map((event) => event.replace(/ at .*/, ""))).toEqual([
      "two: the lease is damaged; it is replaced when nobody has renewed it",
      "two leads",
    ]);
    expect(events).toContain("one lost: the lease is damaged");
    await two.stop();
  },
);
