// Leader election: never two that may act, and a new leader soon after one is gone.
import { expect, test } from "vitest";
import { ClusterError } from "../ports/cluster-error.ts";
import type { Cluster } from "../ports/cluster.ts";
import { typeOf } from "../ports/kind-table.ts";
import { silentLog } from "../ports/machine.ts";
import type { ConfigMap } from "../ports/objects.ts";
import { MemoryCluster } from "../memory/memory-cluster.ts";
import { VirtualTime } from "../simulation/virtual-time.ts";
import { fencedCluster } from "./fenced-cluster.ts";
import { LeaderElection } from "./leader-election.ts";

const key = { namespace: "operator", name: "operator" };

class Replica {
  readonly election: LeaderElection;
  readonly stop = new AbortController();
  reachable = true;
  held: Promise<void> | undefined;

  constructor(identity: string, time: VirtualTime, cluster: MemoryCluster) {
    const cut = <T>(run: () => Promise<T>): Promise<T> =>
      this.reachable ? run() : Promise.reject(new ClusterError("unavailable", "lease", "no route"));
    const seen = {
      get: (kind, at) => cut(() => cluster.get(kind, at)),
      create: (object) => cut(() => cluster.create(object)),
      replace: (object) => cut(() => cluster.replace(object)),
    } as Cluster;
    const machine = { clock: time, random: () => 0.5, log: silentLog, secret: () => "" };
    this.election = new LeaderElection({ cluster: seen, machine, key, identity });
    void this.election.acquire(this.stop.signal).then((ours) => {
      if (ours) this.held = this.election.hold(this.stop.signal);
    });
  }

  get leading(): boolean {
    return this.election.leading;
  }
}

function open(): { time: VirtualTime; cluster: MemoryCluster; a: Replica; b: Replica } {
  const time = new VirtualTime();
  const cluster = new MemoryCluster(time, { requestMs: () => 5, watchDelayMs: () => 5 });
  return { time, cluster, a: new Replica("a", time, cluster), b: new Replica("b", time, cluster) };
}

test("one of two leads, and keeps leading", async () => {
  const { time, a, b } = open();
  for (let second = 0; second < 120; second++) {
    await time.pass(1_000);
    expect([a.leading, b.leading].filter(Boolean)).toHaveLength(1);
  }
  expect(a.leading || b.leading).toBe(true);
});

test("a leader that cannot renew stops before the other takes over, and at no moment both may act", async () => {
  const { time, a, b } = open();
  await time.until(() => a.leading || b.leading, 10_000);
  const [leader, other] = a.leading ? [a, b] : [b, a];
  leader.reachable = false;
  const startMs = time.now();
  let stoppedMs = 0;
  while (!other.leading && time.now() - startMs < 60_000) {
    await time.pass(50);
    expect(leader.leading && other.leading).toBe(false);
    if (!leader.leading && stoppedMs === 0) stoppedMs = time.now();
  }
  expect(other.leading).toBe(true);
  // Between the two lies the time that the old leader's last requests may take.
  expect(time.now() - stoppedMs).toBeGreaterThanOrEqual(4_500);
  expect(time.now() - startMs).toBeLessThan(25_000);
  // A leader that comes back does not act again.
  leader.reachable = true;
  await time.pass(10_000);
  expect(leader.leading).toBe(false);
});

test("a leader that ends in order gives the lease back: the other need not wait", async () => {
  const { time, a, b } = open();
  await time.until(() => a.leading || b.leading, 10_000);
  const [leader, other] = a.leading ? [a, b] : [b, a];
  const startMs = time.now();
  leader.stop.abort();
  await time.until(() => other.leading, 60_000);
  expect(time.now() - startMs).toBeLessThan(5_000);
});

test("a fenced cluster refuses each write of a replica that does not lead, and lets it read", async () => {
  const time = new VirtualTime();
  const cluster = new MemoryCluster(time, { requestMs: () => 0, watchDelayMs: () => 0 });
  let leading = false;
  const fenced = fencedCluster(cluster, () => leading);
  const object: ConfigMap = { ...typeOf("ConfigMap"), metadata: { name: "a", namespace: "n" } };
  const writes = [
    fenced.apply(object),
    fenced.create(object),
    fenced.replace(object),
    fenced.replaceStatus(object),
    fenced.patchMetadata("ConfigMap", { namespace: "n", name: "a" }, { resourceVersion: "1" }),
    fenced.delete("ConfigMap", { namespace: "n", name: "a" }),
  ];
  for (const write of writes) await expect(write).rejects.toMatchObject({ reason: "unavailable" });
  expect(cluster.requests.size).toBe(0);
  leading = true;
  const made = fenced.create(object);
  await time.pass(10);
  expect((await made).metadata.uid).toBeTruthy();
});
