// What the operator is asked to do with an EmbeddedStreamApp in the crash matrix, and how one sees that it was done right.
import type { EmbeddedStreamAppSpec, EmbeddedStreamAppStatus } from "millrace/api";
import { typeOf } from "../../../src/ports/kind-table.ts";
import type { EmbeddedStreamApp, Pod } from "../../../src/ports/objects.ts";
import { namespace, type World } from "../../../src/simulation/world.ts";
import type { Scenario } from "../scenarios.ts";

const appName = "orders";
const key = { namespace, name: appName };
const minutes = 60_000;

const appSpec: EmbeddedStreamAppSpec = {
  applicationId: appName,
  image: "app:1",
  kafka: { brokers: ["kafka:9092"] },
  topics: ["orders"],
  replicas: 3,
  storage: { size: "1Gi" },
  update: { caughtUpTimeout: "40 s" },
};

const create = (world: World, spec: EmbeddedStreamAppSpec = appSpec): void => {
  world.cluster.store.create<EmbeddedStreamApp>({ ...typeOf("EmbeddedStreamApp"), metadata: key, spec });
};
const change = (world: World, more: Partial<EmbeddedStreamAppSpec>): void =>
  world.cluster.store.update("EmbeddedStreamApp", key, (app) => ({ ...app, spec: { ...app.spec, ...more } }));
const appOf = (world: World): EmbeddedStreamApp | undefined => world.cluster.store.get("EmbeddedStreamApp", key);
const statusOf = (world: World): EmbeddedStreamAppStatus => appOf(world)?.status ?? {};
const pods = (world: World): readonly Pod[] => world.cluster.store.list("Pod", { namespace });
const imageOf = ({ spec }: Pod): string | undefined =>
  (spec as { readonly containers?: readonly { readonly image?: string }[] }).containers?.[0]?.image;

async function reach(world: World, done: () => boolean, what: string): Promise<void> {
  if (!(await world.time.until(done, 10 * minutes)))
    throw new Error(`not reached: ${what}; the status is ${JSON.stringify(statusOf(world))}`);
}

/** So many pods run this image, all are caught up, and the status is about the manifest of now. */
const runs = (image: string, count: number) => (world: World) => {
  const app = appOf(world);
  const { upgrade, state, readyReplicas, observedGeneration, stableRevision, currentRevision } = app?.status ?? {};
  return (
    observedGeneration === app?.metadata.generation &&
    upgrade === undefined &&
    state === "Running" &&
    readyReplicas === count &&
    stableRevision === currentRevision &&
    pods(world).length === count &&
    pods(world).every((pod) => imageOf(pod) === image)
  );
};
const running =
  (spec: Partial<EmbeddedStreamAppSpec> = {}, count = 3) =>
  async (world: World): Promise<void> => {
    create(world, { ...appSpec, ...spec });
    await reach(world, () => runs("app:1", count)(world), "the first version runs");
  };
const gone = (world: World): boolean =>
  appOf(world) === undefined &&
  (["Pod", "StatefulSet", "Service"] as const).every((kind) => world.cluster.store.list(kind, { namespace }).length === 0);
const claims = (count: number) => (world: World) => {
  const seen = world.cluster.store.list("PersistentVolumeClaim", { namespace }).length;
  return seen === count ? [] : [`there are ${seen} claims, not ${count}`];
};
const lastUpgradeIs = (kind: string, result: string) => (world: World) => {
  const { lastUpgrade } = statusOf(world);
  return lastUpgrade?.kind === kind && lastUpgrade.result === result ? [] : [`lastUpgrade is ${JSON.stringify(lastUpgrade)}`];
};
const savepoint = { update: { mode: "savepoint", savepointStorage: "s3://apps", caughtUpTimeout: "40 s" } } as const;
const scaling = { scaling: { minReplicas: 1, maxReplicas: 9, lagPerReplica: 1000, cooldown: "10 s", scaleDownAfter: "20 s" } } as const;
const lagBehind =
  (lag: number) =>
  (world: World): void => {
    world.apps.app(namespace, appName).lag = lag;
  };

export const appScenarios: readonly Scenario[] = [
  { name: "apps: create", act: (world) => create(world), done: runs("app:1", 3), check: claims(3) },
  {
    name: "apps: rolling update",
    arrange: running(),
    act: (world) => change(world, { image: "app:2" }),
    done: runs("app:2", 3),
    check: lastUpgradeIs("upgrade", "Succeeded"),
  },
  {
    name: "apps: rollback of a version that crashes",
    arrange: running(),
    act: (world) => change(world, { image: "app:crash" }),
    done: runs("app:1", 3),
    check: lastUpgradeIs("rollback", "Succeeded"),
  },
  {
    name: "apps: rollback of a version that never catches up",
    arrange: running(),
    act: (world) => change(world, { image: "app:never" }),
    done: runs("app:1", 3),
    check: lastUpgradeIs("rollback", "Succeeded"),
  },
  {
    name: "apps: rollback of an image that is not there",
    arrange: running(),
    act: (world) => change(world, { image: "app:missing" }),
    done: runs("app:1", 3),
    check: lastUpgradeIs("rollback", "Succeeded"),
  },
  {
    name: "apps: update over a savepoint",
    arrange: running(savepoint),
    act: (world) => change(world, { image: "app:2" }),
    done: runs("app:2", 3),
    check: (world) => [
      ...lastUpgradeIs("upgrade", "Succeeded")(world),
      ...(statusOf(world).restoredFrom === statusOf(world).lastUpgrade?.savepoint ? [] : ["it did not begin from its savepoint"]),
    ],
  },
  {
    name: "apps: rollback over a savepoint",
    arrange: running(savepoint),
    act: (world) => change(world, { image: "app:crash" }),
    done: runs("app:1", 3),
    check: lastUpgradeIs("rollback", "Succeeded"),
  },
  { name: "apps: more pods by hand", arrange: running(), act: (world) => change(world, { replicas: 4 }), done: runs("app:1", 4) },
  {
    name: "apps: more pods under lag, never more than tasks",
    arrange: running(scaling, 1),
    act: lagBehind(1_000_000),
    done: runs("app:1", 4),
    check: (world) => ((statusOf(world).usefulReplicas ?? 0) === 4 ? [] : [`the status is ${JSON.stringify(statusOf(world))}`]),
  },
  {
    name: "apps: fewer pods when idle",
    arrange: async (world) => {
      lagBehind(1_000_000)(world);
      await running(scaling, 4)(world);
    },
    act: lagBehind(0),
    done: runs("app:1", 1),
  },
  {
    name: "apps: suspend",
    arrange: running(),
    act: (world) => change(world, { suspend: true }),
    done: (world) => statusOf(world).state === "Suspended" && pods(world).length === 0,
    check: claims(3),
  },
  {
    name: "apps: suspend and go on",
    arrange: async (world) => {
      await running()(world);
      change(world, { suspend: true });
      await reach(world, () => statusOf(world).state === "Suspended", "it is suspended");
    },
    act: (world) => change(world, { suspend: false }),
    done: runs("app:1", 3),
  },
  {
    name: "apps: delete, volumes stay",
    arrange: running(),
    act: (world) => world.cluster.store.delete("EmbeddedStreamApp", key),
    done: gone,
    check: claims(3),
  },
  {
    name: "apps: delete with volumes",
    arrange: running({ deletion: { volumes: "delete" } }),
    act: (world) => world.cluster.store.delete("EmbeddedStreamApp", key),
    done: gone,
    check: claims(0),
  },
];
