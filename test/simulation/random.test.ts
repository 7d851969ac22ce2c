// Long random lives of a job: wishes, faults and failures by chance from a seed (MILLRACE_SEED chooses others); in the end what was wished is so, and no record was lost or put out twice.
import { expect, test } from "vitest";
import { type Fault, faults } from "../../src/simulation/faults.ts";
import { seededRandom } from "../../src/simulation/virtual-time.ts";
import { namespace, World } from "../../src/simulation/world.ts";
import { firstSpec, reach } from "./scenarios.ts";
import { invariants } from "./run-scenario.ts";
import { casesOf, runSeed } from "../reference/random.ts";

const first = runSeed();
const lives = casesOf(3);
const minutes = 10;

test.each(Array.from({ length: lives }, (_, index) => first + index))(
  "a life with MILLRACE_SEED=%i",
  { timeout: 600_000 },
  async (seed) => {
    const random = seededRandom(seed);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
    const world = new World({ seed });
    world.startOperator();
    world.create({ ...firstSpec, upgrade: { warmStandby: random() < 0.7 } });
    world.disturb(() => (random() < 0.03 ? pick<Fault>(faults) : undefined));
    const done: string[] = [];
    let version = 1;
    const actions: Readonly<Record<string, () => void>> = {
      upgrade: () => world.change((spec) => ({ ...spec, image: `app:${++version}` })),
      "bad upgrade": () =>
        world.change((spec) => ({ ...spec, image: `app:${pick(["crash", "no-checkpoint", "no-restore", "crash-running"])}-${++version}` })),
      suspend: () => world.change((spec) => ({ ...spec, suspend: true })),
      resume: () => world.change((spec) => ({ ...spec, suspend: false })),
      parallelism: () => world.change((spec) => ({ ...spec, parallelism: pick([1, 2, 3, 4]) })),
      restart: () => world.change((spec) => ({ ...spec, restartNonce: String(++version) })),
      mode: () => world.change((spec) => ({ ...spec, upgrade: { mode: pick(["savepoint", "last-state"]), warmStandby: random() < 0.5 } })),
      rollback: () => world.annotate({ "millrace.dev/rollback-to": pick(["previous", "stable", "1"]) }),
      savepoint: () => world.change((spec) => ({ ...spec, savepoints: { nonce: String(++version) } })),
      "invalid manifest": () => world.change((spec) => ({ ...spec, parallelism: 9_999 })),
      "pod deleted": () => {
        const pods = world.cluster.store.list("Pod", { namespace });
        if (pods.length > 0) world.cluster.store.delete("Pod", { namespace, name: pick(pods).metadata.name });
      },
      "pod killed": () => {
        const pods = world.cluster.store.list("Pod", { namespace });
        if (pods.length > 0) world.jobs.kill(pick(pods));
      },
      "workload deleted": () => {
        const workloads = world.cluster.store.list("Deployment", { namespace });
        if (workloads.length > 0) world.cluster.store.delete("Deployment", { namespace, name: pick(workloads).metadata.name });
      },
      "operator killed": () => world.killOperator(),
      "watches cut": () => world.cluster.cutWatches(),
      "watches silent": () => world.cluster.silence(pick(["StreamJob", "Pod", "Deployment", "Savepoint"])),
    };
    const endMs = world.time.now() + minutes * 60_000;
    while (world.time.now() < endMs) {
      await world.time.pass(500 + random() * 45_000);
      const name = pick(Object.keys(actions));
      done.push(name);
      actions[name]?.();
    }
    world.disturb(undefined);
    // A rollback that is still asked for would be one of this manifest.
    world.cluster.store.update("StreamJob", { namespace, name: "clicks" }, (job) => ({
      ...job,
      metadata: { ...job.metadata, annotations: {} },
      spec: { ...job.spec, image: "app:last", suspend: false, parallelism: 2 },
    }));
    try {
      // A silent watch is found out within minutes.
      await reach(world, () => world.settled() && world.image() === "app:last", "the last version is stable", 60 * 60_000);
      await world.time.pass(60_000);
    } catch (error) {
      throw new Error(`${String(error)}; it went through ${done.join(", ")}`, { cause: error });
    }
    expect(invariants(world), done.join(", ")).toEqual([]);
    expect(world.jobs.storage(namespace, "clicks").restores.length).toBeGreaterThan(1);
    world.close();
  },
);
