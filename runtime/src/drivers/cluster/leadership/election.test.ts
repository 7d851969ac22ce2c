// Both leases by the same suite, and what each has of its own.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
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

test.each([
  ["a page", "<html>sign in</html>"],
  ["nothing", ""],
  ["another object", '{"kind":"Status","metadata":{}}'],
  ["a Lease without a version", '{"kind":"Lease","metadata":{"name":"clicks-1"},"spec":{}}'],
])("an answer that is no Lease is LEASE_UNREACHABLE, and never a free one: %s", async (_what, body) => {
  const server = createServer((_request, response) => response.end(body)).listen(0, "127.0.0.1");
  await once(server, "listening");
  const accountFolder = account("secret");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const store = await kubernetesLease({ namespace: "jobs", lease: "clicks-1", server: url, accountFolder });
  await expect(store.read()).rejects.toMatchObject({ code: "LEASE_UNREACHABLE" });
  await expect(store.write(record, "1")).rejects.toMatchObject({ code: "LEASE_UNREACHABLE" });
  server.close();
  server.closeAllConnections();
  rmSync(accountFolder, { recursive: true });
});

test.each(["{", "{}", "null", '{"rpc":1,"rest":"http://one:8081"}'])(
  "an address on a Lease that nobody of ours wrote is nobody's: %s",
  async (address) => {
    const server = await startFakeApiServer("secret");
    const accountFolder = account("secret");
    const store = await kubernetesLease({ namespace: "jobs", lease: "clicks-1", server: server.url, accountFolder });
    await store.write(record, undefined);
    expect(addressOf((await store.read())?.record)?.rpc).toBe("one:6123");
    server.annotate("clicks-1", { "millrace.dev/leader": address, "millrace.dev/renewals": "many" });
    const state = await store.read();
    expect(addressOf(state?.record)).toBeUndefined();
    expect(state?.record).toMatchObject({ holder: "one", renewals: 0 });
    await server.close();
    rmSync(accountFolder, { recursive: true });
  },
);

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
