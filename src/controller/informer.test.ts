// The informer: a true copy whatever happens to its watch.
import { expect, test } from "vitest";
import { MemoryCluster } from "../memory/memory-cluster.ts";
import { typeOf } from "../ports/kind-table.ts";
import { silentLog } from "../ports/machine.ts";
import type { ConfigMap } from "../ports/objects.ts";
import { VirtualTime } from "../simulation/virtual-time.ts";
import { Informer } from "./informer.ts";

const configMap = (name: string, x: string): ConfigMap => ({ ...typeOf("ConfigMap"), metadata: { name, namespace: "n" }, data: { x } });

async function open(): Promise<{
  time: VirtualTime;
  cluster: MemoryCluster;
  informer: Informer<"ConfigMap">;
  changes: string[];
  stop: AbortController;
  done: Promise<void>;
}> {
  const time = new VirtualTime();
  const cluster = new MemoryCluster(time, { requestMs: () => 1, watchDelayMs: () => 5 });
  cluster.store.create(configMap("first", "1"));
  const machine = { clock: time, random: () => 0.5, log: silentLog, secret: () => "" };
  const informer = new Informer("ConfigMap", cluster, machine, {
    scopes: [{ namespace: "n" }],
    inactivityMs: 90_000,
    index: ({ metadata }) => metadata.namespace,
  });
  const changes: string[] = [];
  informer.onChange((object, previous) =>
    changes.push(`${object.metadata.name} ${previous === undefined ? "new" : previous === object ? "gone" : "changed"}`),
  );
  const stop = new AbortController();
  const done = informer.run(stop.signal);
  await time.until(() => informer.synced, 1_000);
  // Its watch has begun too.
  await time.pass(20);
  return { time, cluster, informer, changes, stop, done };
}

test("it lists once and then follows", async () => {
  const { time, cluster, informer, changes, stop, done } = await open();
  cluster.store.create(configMap("second", "1"));
  cluster.store.apply(configMap("second", "2"));
  cluster.store.delete("ConfigMap", { namespace: "n", name: "first" });
  await time.pass(1_000);
  expect(changes).toEqual(["first new", "second new", "second changed", "first gone"]);
  expect(informer.find("n").map(({ metadata, data }) => [metadata.name, data?.["x"]])).toEqual([["second", "2"]]);
  expect(informer.relists).toBe(1);
  stop.abort();
  await done;
});

test("a watch that falls silent is given up, and what it missed is told", async () => {
  const { time, cluster, informer, changes } = await open();
  cluster.silence("ConfigMap");
  cluster.store.create(configMap("missed", "1"));
  cluster.store.delete("ConfigMap", { namespace: "n", name: "first" });
  await time.pass(60_000);
  expect(changes).toEqual(["first new"]);
  await time.pass(60_000);
  expect(changes).toEqual(["first new", "first gone", "missed new"]);
  expect(informer.relists).toBe(2);
});

test("a watch that bookmarks keep alive is not given up", async () => {
  const { time, informer } = await open();
  await time.pass(3_600_000);
  expect(informer.relists).toBe(1);
});

test("after a cut connection it goes on, and misses nothing", async () => {
  const { time, cluster, changes } = await open();
  cluster.cutWatches();
  cluster.store.create(configMap("meanwhile", "1"));
  await time.pass(5_000);
  expect(changes).toEqual(["first new", "meanwhile new"]);
});
