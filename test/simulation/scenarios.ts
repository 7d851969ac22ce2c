// What the operator is asked to do in the crash matrix, and how one sees that it was done right.
import type { StreamJobSpec } from "millrace/api";
import { typeOf } from "../../src/ports/kind-table.ts";
import type { Savepoint } from "../../src/ports/objects.ts";
import { jobName, namespace, type World } from "../../src/simulation/world.ts";

export interface Scenario {
  readonly name: string;
  /** Before this nothing fails. */
  readonly arrange?: (world: World) => Promise<void>;
  /** From here on a write may meet a fault. */
  readonly act: (world: World) => void;
  readonly done: (world: World) => boolean;
  /** What is wrong at the end. */
  readonly check?: (world: World) => readonly string[];
  readonly limitMs?: number;
}

export const firstSpec: StreamJobSpec = {
  image: "app:1",
  job: { module: "job.ts" },
  checkpoints: { storage: "s3://snapshots" },
  parallelism: 2,
  rollback: { stableTimeout: "40 s" },
};

const minutes = 60_000;

const running =
  (spec: Partial<StreamJobSpec> = {}) =>
  async (world: World): Promise<void> => {
    world.create({ ...firstSpec, ...spec });
    await reach(world, () => world.settled(), "the first version is stable");
  };

export async function reach(world: World, done: () => boolean, what: string, limitMs = 10 * minutes): Promise<void> {
  if (!(await world.time.until(done, limitMs))) throw new Error(`not reached: ${what}; the status is ${JSON.stringify(world.status())}`);
}

const toImage =
  (image: string, more: Partial<StreamJobSpec> = {}) =>
  (world: World) =>
    world.change((spec) => ({ ...spec, ...more, image }));
const runs = (image: string) => (world: World) => world.settled() && world.image() === image;
const gone = (world: World): boolean =>
  world.job() === undefined &&
  world.cluster.store.list("Pod", { namespace }).length === 0 &&
  world.cluster.store.list("Deployment", { namespace }).length === 0;
const expectation = (holds: boolean, otherwise: string): readonly string[] => (holds ? [] : [otherwise]);

const savepointsOf = (world: World, trigger: string): readonly Savepoint[] =>
  world.savepoints().filter(({ status }) => status?.trigger === trigger && status.phase === "Completed");
const hasSavepoint =
  (trigger: string, count = 1) =>
  (world: World) =>
    expectation(
      savepointsOf(world, trigger).length === count,
      `there are ${savepointsOf(world, trigger).length} savepoints by ${trigger}, not ${count}`,
    );
const upgradedFromSavepoint = (world: World): readonly string[] => {
  const { lastUpgrade } = world.status();
  return [
    ...expectation(
      lastUpgrade?.result === "Succeeded" && lastUpgrade.savepoint !== undefined,
      `lastUpgrade is ${JSON.stringify(lastUpgrade)}`,
    ),
    ...expectation(lastUpgrade?.gapMs !== undefined, "no gap was measured"),
  ];
};
const degraded = (reason: string) => (world: World) =>
  expectation(world.condition("Degraded").reason === reason, `Degraded is ${JSON.stringify(world.condition("Degraded"))}`);
const all =
  (...checks: readonly ((world: World) => readonly string[])[]) =>
  (world: World): readonly string[] =>
    checks.flatMap((check) => check(world));

const runsOf =
  (component: string, count: number) =>
  (world: World): readonly string[] => {
    const labels = { "app.kubernetes.io/component": component };
    const ready = world.cluster.store.list("Deployment", { namespace, labels }).map(({ status }) => status?.readyReplicas ?? 0);
    return expectation(ready.length === 1 && ready[0] === count, `ready pods of the ${component}: ${ready.join(", ")}`);
  };

export const scenarios: readonly Scenario[] = [
  { name: "create", act: (world) => world.create(firstSpec), done: runs("app:1") },
  {
    name: "upgrade with a savepoint, warm standby",
    arrange: running(),
    act: toImage("app:2"),
    done: runs("app:2"),
    check: all(upgradedFromSavepoint, hasSavepoint("upgrade")),
  },
  {
    name: "upgrade with a savepoint, cold",
    arrange: running({ upgrade: { warmStandby: false } }),
    act: toImage("app:2"),
    done: runs("app:2"),
    check: all(upgradedFromSavepoint, hasSavepoint("upgrade")),
  },
  {
    name: "upgrade whose savepoint fails once",
    arrange: async (world) => {
      await running()(world);
      for (const run of world.jobs.runs(namespace, jobName)) run.savepointFailures = 1;
    },
    act: toImage("app:2"),
    done: runs("app:2"),
    check: all(upgradedFromSavepoint, hasSavepoint("upgrade")),
  },
  {
    name: "upgrade from the last state",
    arrange: running({ upgrade: { mode: "last-state" } }),
    act: toImage("app:2"),
    done: runs("app:2"),
  },
  {
    name: "upgrade without state",
    arrange: running({ upgrade: { mode: "stateless" } }),
    act: (world) => {
      world.jobs.storage(namespace, jobName).rewindAllowed = true;
      toImage("app:2")(world);
    },
    done: runs("app:2"),
  },
  {
    name: "upgrade to a version that crashes at its start, warm",
    arrange: running(),
    act: toImage("app:crash"),
    done: (world) => runs("app:1")(world) && world.status().pinned !== undefined,
    check: degraded("UpgradeFailed"),
  },
  {
    name: "upgrade to a version that crashes at its start, cold",
    arrange: running({ upgrade: { warmStandby: false } }),
    act: toImage("app:crash"),
    done: (world) => runs("app:1")(world) && world.status().pinned !== undefined,
    check: degraded("RolledBack"),
  },
  {
    name: "upgrade to a version that never completes a checkpoint",
    arrange: running(),
    act: toImage("app:no-checkpoint"),
    done: (world) => runs("app:1")(world) && world.status().pinned !== undefined,
    check: all(degraded("RolledBack"), hasSavepoint("upgrade")),
  },
  {
    name: "upgrade to a version that cannot restore the state, then a good one",
    arrange: async (world) => {
      await running()(world);
      toImage("app:no-restore")(world);
      await reach(world, () => runs("app:1")(world) && world.status().pinned !== undefined, "rolled back");
    },
    act: toImage("app:3"),
    done: runs("app:3"),
    check: all(upgradedFromSavepoint, (world) => expectation(world.status().pinned === undefined, "still pinned")),
  },
  {
    name: "upgrade that another one overtakes",
    arrange: running(),
    act: (world) => {
      toImage("app:2")(world);
      world.time.after(2_500, () => toImage("app:3")(world));
    },
    done: runs("app:3"),
  },
  {
    name: "rollback by hand",
    arrange: async (world) => {
      await running()(world);
      toImage("app:2")(world);
      await reach(world, () => runs("app:2")(world), "upgraded");
    },
    act: (world) => world.annotate({ "millrace.dev/rollback-to": "1" }),
    done: (world) => runs("app:1")(world) && world.job()?.metadata.annotations?.["millrace.dev/rollback-to"] === undefined,
    check: all(upgradedFromSavepoint, hasSavepoint("upgrade", 2)),
  },
  {
    name: "suspend",
    arrange: running(),
    act: (world) => world.change((spec) => ({ ...spec, suspend: true })),
    done: (world) => world.status().state === "Suspended" && world.cluster.store.list("Pod", { namespace }).length === 0,
    check: hasSavepoint("suspend"),
  },
  {
    name: "resume",
    arrange: async (world) => {
      await running()(world);
      world.change((spec) => ({ ...spec, suspend: true }));
      await reach(world, () => world.status().state === "Suspended", "suspended");
    },
    act: (world) => world.change((spec) => ({ ...spec, suspend: false })),
    done: runs("app:1"),
  },
  {
    name: "suspend from the last state, and resume another version",
    arrange: running({ upgrade: { mode: "last-state" } }),
    act: (world) => {
      world.change((spec) => ({ ...spec, suspend: true }));
      world.time.after(20_000, () => toImage("app:2", { suspend: false })(world));
    },
    done: runs("app:2"),
  },
  {
    name: "restart by nonce",
    arrange: running({ restartNonce: "a" }),
    act: (world) => world.change((spec) => ({ ...spec, restartNonce: "b" })),
    done: (world) => world.settled() && world.status().served?.restart === "b" && world.status().lastUpgrade?.kind === "restart",
    check: upgradedFromSavepoint,
  },
  {
    name: "redeploy from a given savepoint",
    arrange: async (world) => {
      await running()(world);
      toImage("app:2")(world);
      await reach(world, () => runs("app:2")(world), "upgraded");
      await world.time.pass(12_000);
    },
    act: (world) => {
      world.jobs.storage(namespace, jobName).rewindAllowed = true;
      const location = savepointsOf(world, "upgrade")[0]?.status?.location ?? "";
      world.change((spec) => ({ ...spec, upgrade: { redeploy: { location, nonce: "1" } } }));
    },
    done: (world) => world.settled() && world.status().lastUpgrade?.kind === "redeploy",
    check: (world) =>
      expectation(
        world.jobs.storage(namespace, jobName).restores.at(-1)?.from === savepointsOf(world, "upgrade")[0]?.status?.location,
        "it did not start from the given savepoint",
      ),
  },
  {
    name: "rescale up in place",
    arrange: running(),
    act: (world) => world.change((spec) => ({ ...spec, parallelism: 4 })),
    done: (world) => world.settled() && world.status().readyReplicas === 4 && world.status().parallelism === 4,
  },
  {
    name: "rescale down by the scale subresource",
    arrange: running({ parallelism: undefined as never, taskManager: { replicas: 4 } }),
    act: (world) => world.change((spec) => ({ ...spec, taskManager: { replicas: 2 } })),
    done: (world) => world.settled() && world.status().replicas === 2 && world.status().parallelism === 2,
  },
  {
    name: "savepoint by a user",
    arrange: running(),
    act: (world) => {
      world.cluster.store.create<Savepoint>({ ...typeOf("Savepoint"), metadata: { name: "mine", namespace }, spec: { job: jobName } });
    },
    done: (world) => savepointsOf(world, "user").length === 1,
    check: hasSavepoint("user"),
  },
  {
    name: "savepoints by schedule, with retention",
    arrange: running({ savepoints: { interval: "1 min", retention: { count: 2 } } }),
    act: () => {},
    done: (world) => world.time.now() > Date.UTC(2026, 0, 1, 0, 4, 30) && savepointsOf(world, "schedule").length === 2,
    check: hasSavepoint("schedule", 2),
  },
  {
    name: "savepoint by nonce",
    arrange: running(),
    act: (world) => world.change((spec) => ({ ...spec, savepoints: { nonce: "1" } })),
    done: (world) => savepointsOf(world, "nonce").length === 1,
    check: hasSavepoint("nonce"),
  },
  { name: "delete, policy none", arrange: running(), act: (world) => world.delete(), done: gone },
  {
    name: "delete, policy savepoint",
    arrange: running({ deletion: { policy: "savepoint" } }),
    act: (world) => world.delete(),
    done: gone,
    check: hasSavepoint("deletion"),
  },
  {
    name: "delete, policy drain",
    arrange: running({ deletion: { policy: "drain" } }),
    act: (world) => world.delete(),
    done: gone,
    check: hasSavepoint("deletion"),
  },
  {
    name: "delete while an upgrade goes on",
    arrange: running({ deletion: { policy: "savepoint" } }),
    act: (world) => {
      toImage("app:2")(world);
      world.time.after(2_000, () => world.delete());
    },
    done: gone,
  },
  {
    name: "a namespace that goes while an upgrade goes on",
    arrange: running({ deletion: { policy: "savepoint" } }),
    act: (world) => {
      toImage("app:2")(world);
      world.time.after(2_000, () => world.cluster.store.terminateNamespace(namespace));
    },
    done: gone,
  },
  {
    name: "an invalid manifest leaves the job healed, and is mended",
    arrange: running(),
    act: (world) => {
      world.change((spec) => ({ ...spec, parallelism: 500 }));
      for (const deployment of world.cluster.store.list("Deployment", { namespace })) {
        world.time.after(1_000, () => world.cluster.store.delete("Deployment", { namespace, name: deployment.metadata.name }));
      }
      world.time.after(30_000, () => toImage("app:2", { parallelism: 2 })(world));
    },
    done: runs("app:2"),
    check: upgradedFromSavepoint,
  },
  {
    name: "a JobManager that is deleted comes back",
    arrange: running(),
    act: (world) => {
      const [deployment] = world.cluster.store.list("Deployment", { namespace, labels: { "app.kubernetes.io/component": "jobmanager" } });
      world.cluster.store.delete("Deployment", { namespace, name: deployment?.metadata.name ?? "" });
    },
    done: (world) =>
      world.settled() &&
      world.cluster.store
        .list("Deployment", { namespace, labels: { "app.kubernetes.io/component": "jobmanager" } })
        .some(({ status }) => status?.readyReplicas === 2),
  },
  {
    name: "JobManagers that crash again and again are replaced from the newest checkpoint",
    arrange: running(),
    act: (world) => {
      const run = world.status().active?.run ?? 0;
      world.jobs.crashLooping.add(run);
      const labels = { "app.kubernetes.io/component": "jobmanager" };
      for (const pod of world.cluster.store.list("Pod", { namespace, labels })) world.jobs.kill(pod);
    },
    done: (world) => world.settled() && world.status().lastUpgrade?.kind === "recover",
    check: (world) =>
      all(runsOf("jobmanager", 2), () =>
        expectation(
          world.jobs.storage(namespace, jobName).restores.at(-1)?.from?.includes("/chk-") === true,
          "it did not start from a checkpoint",
        ),
      )(world),
  },
];
