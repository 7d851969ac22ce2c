// Both leases by the same suite, and what each has of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, vi } from "vitest";
import { ManualClock } from "../../../base/clock.ts";
import { MillraceError } from "../../../base/errors.ts";
import { silentLog } from "../../../base/log.ts";
import { MemoryStorage } from "../../../checkpoint/storage/memory-storage.ts";
import { startFakeApiServer } from "./api-server.suite.ts";
import { leaseSuite } from "./election.suite.ts";
import { Elector } from "./elector.ts";
import { kubernetesLease } from "./kubernetes-lease.ts";
import { addressOf, type LeaseRecord, type LeaseStore } from "./lease.ts";
import { storageLease } from "./storage-lease.ts";

leaseSuite("a lease in storage", async () => {
  const storage = new MemoryStorage();
  let reachable = true;
  return {
    async open(): Promise<LeaseStore> {
      const store = await storageLease(storage, "job/leader.json");
      const gone = (): MillraceError => new MillraceError("STORAGE_UNREACHABLE", "memory", "is away", "wait");
      return {
        read: () => (reachable ? store.read() : Promise.reject(gone())),
        write: (record, version) => (reachable ? store.write(record, version) : Promise.reject(gone())),
        close: () => Promise.resolve(),
      };
    },
    setReachable(now) {
      reachable = now;
    },
    close: () => Promise.resolve(),
  };
});

function account(token: string): string {
  const folder = mkdtempSync(join(tmpdir(), "millrace-account-"));
  writeFileSync(join(folder, "token"), `${token}\n`);
  return folder;
}

leaseSuite("a Lease of Kubernetes", async () => {
  const server = await startFakeApiServer("secret");
  const accountFolder = account("secret");
  return {
    open: () => kubernetesLease({ namespace: "jobs", lease: "clicks-1", server: server.url, accountFolder }),
    setReachable(now) {
      server.reachable = now;
    },
    async close() {
      await server.close();
      rmSync(accountFolder, { recursive: true });
    },
  };
});

const record: LeaseRecord = {
  holder: "one",
  renewals: 1,
  durationMs: 15_000,
  address: { rpc: "one:6123", rest: "http://one:8081" },
  released: false,
};

test("a Lease keeps what others wrote into it, and a write against their change is a conflict", async () => {
  const server = await startFakeApiServer("secret");
  const accountFolder = account("secret");
  const store = await kubernetesLease({ namespace: "jobs", lease: "clicks-1", server: server.url, accountFolder });
  await store.write(record, undefined);
  const seen = await store.read();
  server.annotate("clicks-1", { "millrace.dev/start": "{}" });
  expect(await store.write({ ...record, renewals: 2 }, seen?.version)).toBe(false);
  expect(await store.write({ ...record, renewals: 2 }, (await store.read())?.version)).toBe(true);
  expect(server.leases.get("clicks-1")?.metadata["annotations"]).toMatchObject({ "millrace.dev/start": "{}" });
  expect(server.leases.get("clicks-1")?.spec).toMatchObject({ holderIdentity: "one", leaseDurationSeconds: 15, leaseTransitions: 0 });
  await store.close();
  await server.close();
  rmSync(accountFolder, { recursive: true });
});

test("a token that the API server refuses is told as LEASE_DENIED", async () => {
  const server = await startFakeApiServer("secret");
  const accountFolder = account("old");
  const store = await kubernetesLease({ namespace: "jobs", lease: "clicks-1", server: server.url, accountFolder });
  await expect(store.read()).rejects.toMatchObject({ code: "LEASE_DENIED" });
  await expect(kubernetesLease({ namespace: "jobs", lease: "x", server: server.url, accountFolder: "/nowhere" })).rejects.toMatchObject({
    code: "LEASE_DENIED",
  });
  await server.close();
  rmSync(accountFolder, { recursive: true });
});

test("an API server that does not answer is LEASE_UNREACHABLE, and one that is away too", async () => {
  const server = await startFakeApiServer("secret");
  const accountFolder = account("secret");
  const store = await kubernetesLease({ namespace: "jobs", lease: "clicks-1", server: server.url, accountFolder, timeoutMs: 100 });
  server.silent = true;
  await expect(store.read()).rejects.toMatchObject({ code: "LEASE_UNREACHABLE" });
  server.reachable = false;
  await expect(store.read()).rejects.toMatchObject({ code: "LEASE_UNREACHABLE" });
  await server.close();
  rmSync(accountFolder, { recursive: true });
});

test("a holder on this machine that is dead is seen at once", async () => {
  const storage = new MemoryStorage();
  const store = await storageLease(storage, "job/leader.json");
  await store.write(record, undefined);
  expect((await store.read())?.holderIsDead).toBe(false);
  const { content, version } = await storage.get("job/leader.json");
  const stored = JSON.parse(content.toString("utf8")) as { process: { pid: number } };
  // No process has this number: it is above what the system gives.
  await storage.replace(
    "job/leader.json",
    Buffer.from(JSON.stringify({ ...stored, process: { ...stored.process, pid: 2 ** 30 } })),
    version,
  );
  expect((await store.read())?.holderIsDead).toBe(true);
});

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

test("whoever stands by hears of the death of a holder on this machine, and not while it lives", { timeout: 60_000 }, async () => {
  const storage = new MemoryStorage();
  const store = await storageLease(storage, "job/leader.json");
  await store.write(record, undefined);
  const { content, version } = await storage.get("job/leader.json");
  const stored = JSON.parse(content.toString("utf8")) as { process: { pid: number } };
  const holder = spawn(process.execPath, ["--eval", "setInterval(() => {}, 60_000)"], { stdio: "ignore" });
  const exited = once(holder, "exit");
  const identity = { ...stored.process, pid: holder.pid };
  await storage.replace("job/leader.json", Buffer.from(JSON.stringify({ ...stored, process: identity })), version);
  await store.read();
  let deaths = 0;
  const died = new Promise<void>((resolve) => {
    store.watchHolder?.(() => {
      deaths++;
      resolve();
    });
  });
  const ended = store.watchHolder?.(() => {
    deaths += 100;
  });
  ended?.();
  expect(deaths).toBe(0);
  holder.kill("SIGKILL");
  await exited;
  await died;
  expect(deaths).toBe(1);
});

test("a candidate that hears of the holder's death tries for the lease at once", async () => {
  const clock = new ManualClock();
  const times = { durationMs: 15_000, renewMs: 10_000, retryMs: 2000 };
  let holderIsDead = false;
  let tell: (() => void) | undefined;
  let reads = 0;
  const store: LeaseStore = {
    read: () => {
      reads++;
      return Promise.resolve({ record, version: "1", holderIsDead });
    },
    write: () => Promise.resolve(true),
    watchHolder: (died) => {
      tell = died;
      return () => {
        tell = undefined;
      };
    },
    close: () => Promise.resolve(),
  };
  const { promise: leads, resolve: lead } = Promise.withResolvers<void>();
  const address = { rpc: "two:6123", rest: "http://two:8081" };
  const elector = new Elector({ holder: "two", address, store, times, clock, random: () => 0.5, log: silentLog, lead, lost: () => {} });
  elector.start();
  clock.advance(0);
  await vi.waitFor(() => expect(tell).toBeDefined());
  expect([reads, elector.isLeading]).toEqual([1, false]);
  holderIsDead = true;
  tell?.();
  clock.advance(0);
  await leads;
  expect(reads).toBe(2);
  await elector.stop();
});
