// What the operator is asked to do with a MicroBatchJob in the crash matrix, and how one sees that it was done right.
import type { MicroBatchJobSpec, MicroBatchJobStatus } from "millrace/api";
import { typeOf } from "../../../src/ports/kind-table.ts";
import type { MicroBatchJob, Pod } from "../../../src/ports/objects.ts";
import { namespace, type World } from "../../../src/simulation/world.ts";
import type { Scenario } from "../scenarios.ts";

export const batchName = "visits";
const key = { namespace, name: batchName };
const minutes = 60_000;

export const batchSpec: MicroBatchJobSpec = {
  image: "app:1",
  job: { module: "job.ts" },
  checkpoints: { storage: "s3://batches" },
  trigger: { interval: "2 s" },
  rollback: { stableTimeout: "40 s" },
};

export const create = (world: World, spec: MicroBatchJobSpec = batchSpec): void => {
  world.cluster.store.create<MicroBatchJob>({ ...typeOf("MicroBatchJob"), metadata: key, spec });
};
export const change = (world: World, of: (spec: MicroBatchJobSpec) => MicroBatchJobSpec): void =>
  world.cluster.store.update("MicroBatchJob", key, (job) => ({ ...job, spec: of(job.spec) }));
export const jobOf = (world: World): MicroBatchJob | undefined => world.cluster.store.get("MicroBatchJob", key);
export const statusOf = (world: World): MicroBatchJobStatus => jobOf(world)?.status ?? {};
export const driverOf = (world: World): Pod | undefined =>
  world.cluster.store.list("Pod", { namespace }).find(({ metadata }) => metadata.name.endsWith("-driver"));

export async function reach(world: World, done: () => boolean, what: string, limitMs = 10 * minutes): Promise<void> {
  if (!(await world.time.until(done, limitMs))) throw new Error(`not reached: ${what}; the status is ${JSON.stringify(statusOf(world))}`);
}

const imageOf = (world: World): string | undefined => {
  const name = statusOf(world).active?.revision ?? statusOf(world).currentRevision ?? "";
  const revision = world.cluster.store.get("ControllerRevision", { namespace, name });
  return (revision?.data as { readonly spec: { readonly image: string } } | undefined)?.spec.image;
};
const current = (world: World): boolean => {
  const job = jobOf(world);
  return job !== undefined && job.status?.observedGeneration === job.metadata.generation;
};
const runs = (image: string) => (world: World) =>
  current(world) && statusOf(world).active?.phase === "stable" && statusOf(world).upgrade === undefined && imageOf(world) === image;
const inState = (state: string) => (world: World) => current(world) && statusOf(world).state === state;
export const running =
  (spec: Partial<MicroBatchJobSpec> = {}) =>
  async (world: World): Promise<void> => {
    create(world, { ...batchSpec, ...spec });
    await reach(world, () => runs("app:1")(world), "the first version is stable");
  };
const toImage =
  (image: string, more: Partial<MicroBatchJobSpec> = {}) =>
  (world: World) =>
    change(world, (spec) => ({ ...spec, ...more, image }));
const gone = (world: World): boolean =>
  jobOf(world) === undefined &&
  (["Pod", "Deployment", "ConfigMap", "Service"] as const).every((kind) => world.cluster.store.list(kind, { namespace }).length === 0);
const expectation = (holds: boolean, otherwise: string): readonly string[] => (holds ? [] : [otherwise]);
const upgradedFromSavepoint = (world: World): readonly string[] => {
  const { lastUpgrade } = statusOf(world);
  const { restores } = world.batches.storage(namespace, batchName);
  return [
    ...expectation(lastUpgrade?.result === "Succeeded" && lastUpgrade.kind === "upgrade", `lastUpgrade is ${JSON.stringify(lastUpgrade)}`),
    ...expectation(
      lastUpgrade?.savepoint !== undefined && restores.some(({ order }) => order.location === lastUpgrade.savepoint),
      `no run was started from the savepoint of ${JSON.stringify(lastUpgrade)}`,
    ),
  ];
};
const lastUpgradeIs = (kind: string, result: string) => (world: World) => {
  const { lastUpgrade } = statusOf(world);
  return expectation(lastUpgrade?.kind === kind && lastUpgrade.result === result, `lastUpgrade is ${JSON.stringify(lastUpgrade)}`);
};
const degraded = (reason: string) => (world: World) => {
  const condition = statusOf(world).conditions?.find(({ type }) => type === "Degraded");
  return expectation(condition?.reason === reason, `Degraded is ${JSON.stringify(condition)}`);
};
const historyIs =
  (...results: readonly string[]) =>
  (world: World) => {
    const seen = (statusOf(world).history ?? []).map(({ result }) => result);
    return expectation(JSON.stringify(seen) === JSON.stringify(results), `the history is ${JSON.stringify(statusOf(world).history)}`);
  };
const all =
  (...checks: readonly ((world: World) => readonly string[])[]) =>
  (world: World): readonly string[] =>
    checks.flatMap((check) => check(world));
const executors = (count: number) => (world: World) => {
  const [deployment] = world.cluster.store.list("Deployment", { namespace });
  return (deployment?.spec as { readonly replicas?: number } | undefined)?.replicas === count && statusOf(world).readyReplicas === count;
};
const once = { trigger: { type: "available-now" } } as const;
/** Every full minute. */
const everyMinute = { ...once, schedule: { cron: "* * * * *" } } as const;

export const batchScenarios: readonly Scenario[] = [
  { name: "batches: create", act: (world) => create(world), done: runs("app:1") },
  {
    name: "batches: create a run that ends",
    act: (world) => create(world, { ...batchSpec, ...once }),
    done: inState("Finished"),
    check: historyIs("Succeeded"),
  },
  {
    name: "batches: upgrade with a savepoint between two batches",
    arrange: running(),
    act: toImage("app:2"),
    done: runs("app:2"),
    check: all(upgradedFromSavepoint, historyIs("Stopped")),
  },
  {
    name: "batches: upgrade from the last state",
    arrange: running({ upgrade: { mode: "last-state" } }),
    act: toImage("app:2"),
    done: runs("app:2"),
  },
  {
    name: "batches: upgrade without state",
    arrange: running({ upgrade: { mode: "stateless" } }),
    act: (world) => {
      world.batches.storage(namespace, batchName).rewindAllowed = true;
      toImage("app:2")(world);
    },
    done: runs("app:2"),
  },
  { name: "batches: upgrade, stop at once", arrange: running({ stopMode: "immediate" }), act: toImage("app:2"), done: runs("app:2") },
  {
    name: "batches: rollback of a version that fails in its batch",
    arrange: running(),
    act: toImage("app:crash-running"),
    done: runs("app:1"),
    check: all(lastUpgradeIs("rollback", "Succeeded"), degraded("RolledBack")),
  },
  {
    name: "batches: rollback of a version that cannot restore",
    arrange: running(),
    act: toImage("app:no-restore"),
    done: runs("app:1"),
    check: all(lastUpgradeIs("rollback", "Succeeded"), degraded("RolledBack")),
  },
  {
    name: "batches: rollback of an image that is not there",
    arrange: running(),
    act: toImage("app:missing"),
    done: runs("app:1"),
    check: all(lastUpgradeIs("rollback", "Succeeded"), degraded("RolledBack")),
  },
  {
    name: "batches: a driver is killed",
    arrange: running(),
    act: (world) => world.batches.kill(driverOf(world) as Pod),
    done: (world) => runs("app:1")(world) && (statusOf(world).history ?? []).length > 0,
    check: historyIs("Failed"),
  },
  {
    name: "batches: a driver's pod is deleted",
    arrange: running(),
    act: (world) => world.cluster.store.delete("Pod", { namespace, name: driverOf(world)?.metadata.name ?? "" }),
    done: (world) => runs("app:1")(world) && (statusOf(world).history ?? []).length > 0,
  },
  {
    name: "batches: given up after its failures",
    act: (world) => create(world, { ...batchSpec, image: "app:crash-start", restart: { maxFailures: 2, initialDelay: "2 s" } }),
    done: inState("Failed"),
    check: all(degraded("JobFailed"), historyIs("Failed", "Failed", "Failed")),
  },
  {
    name: "batches: suspend",
    arrange: running(),
    act: (world) => change(world, (spec) => ({ ...spec, suspend: true })),
    done: inState("Suspended"),
  },
  {
    name: "batches: suspend and go on",
    arrange: async (world) => {
      await running()(world);
      change(world, (spec) => ({ ...spec, suspend: true }));
      await reach(world, () => inState("Suspended")(world), "it is suspended");
    },
    act: (world) => change(world, (spec) => ({ ...spec, suspend: false })),
    done: runs("app:1"),
  },
  {
    name: "batches: more executors under backlog",
    arrange: running({ executors: { min: 1, max: 4 } }),
    act: (world) => world.batches.backlogs.set(`${namespace}/${batchName}`, 100_000),
    done: executors(4),
  },
  {
    name: "batches: fewer executors when idle",
    arrange: async (world) => {
      world.batches.backlogs.set(`${namespace}/${batchName}`, 100_000);
      await running({ executors: { min: 1, max: 3, idleTimeout: "20 s" } })(world);
      await reach(world, () => executors(3)(world), "there are three executors");
    },
    act: (world) => world.batches.backlogs.delete(`${namespace}/${batchName}`),
    done: executors(1),
  },
  {
    name: "batches: two runs by schedule",
    act: (world) => create(world, { ...batchSpec, ...everyMinute }),
    done: (world) => (statusOf(world).history ?? []).length >= 2,
    check: (world) => {
      const { history = [] } = statusOf(world);
      const starts = history.map(({ startedAt }) => Math.floor(Date.parse(startedAt) / minutes));
      return [
        ...expectation(
          history.every(({ result }) => result === "Succeeded"),
          `the history is ${JSON.stringify(history)}`,
        ),
        ...expectation(new Set(starts).size === starts.length, "two runs of one minute"),
      ];
    },
  },
  { name: "batches: delete", arrange: running(), act: (world) => world.cluster.store.delete("MicroBatchJob", key), done: gone },
  {
    name: "batches: delete with a savepoint",
    arrange: running({ deletion: { policy: "savepoint" }, executors: { min: 1, max: 1 } }),
    act: (world) => world.cluster.store.delete("MicroBatchJob", key),
    done: gone,
    check: (world) => expectation(world.batches.storage(namespace, batchName).savepoints.size === 1, "there is no savepoint"),
  },
  {
    name: "batches: its time to live ends",
    act: (world) => create(world, { ...batchSpec, ...once, timeToLiveSeconds: 5 }),
    done: (world) => gone(world) && world.batches.storage(namespace, batchName).commits.length > 0,
  },
];
