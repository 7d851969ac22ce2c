// The loop that all kinds share, over a kind that does what a test says: what it asks of the cluster, and what it makes of answers.
import { expect, test } from "vitest";
import { EventRecorder } from "../controller/event-recorder.ts";
import { ObjectCache } from "../controller/object-cache.ts";
import { cachedKinds } from "../operator/cached-kinds.ts";
import { MemoryCluster } from "../memory/memory-cluster.ts";
import { ClusterError } from "../ports/cluster-error.ts";
import { JobClientError } from "../ports/job-client.ts";
import { typeOf } from "../ports/kind-table.ts";
import { silentLog } from "../ports/machine.ts";
import type { StreamJob } from "../ports/objects.ts";
import { VirtualTime } from "../simulation/virtual-time.ts";
import type { Decision } from "./draft.ts";
import { type Look, ResourceReconciler, type ResourceKind, type StatusOf } from "./reconciler.ts";

type Step = { readonly kind: "wait" | "apply" | "createToken" | "startSavepoint" };
interface Seen extends Look {
  readonly job: StreamJob;
  readonly pods: number;
}
type Choice = Partial<Decision<StatusOf<"StreamJob">, Step>>;

const job: StreamJob = {
  ...typeOf("StreamJob"),
  metadata: { name: "clicks", namespace: "jobs" },
  spec: { job: { module: "job.ts" }, checkpoints: { storage: "s3://bucket/clicks" } },
};

/** `choose` decides: nothing at all is to wait, with the status as it is. */
async function open(choose: (seen: Seen, looks: number) => Choice, carryOut: (step: Step) => Promise<void> = () => Promise.resolve()) {
  const time = new VirtualTime();
  const cluster = new MemoryCluster(time, { requestMs: () => 0, watchDelayMs: () => 0 });
  const machine = { clock: time, random: () => 0.5, secret: () => "secret", log: silentLog };
  const cache = new ObjectCache(cluster, machine, cachedKinds([]));
  const stop = new AbortController();
  const informers = cache.run(stop.signal);
  cluster.store.create(job);
  await time.pass(100);
  let looks = 0;
  const steps: string[] = [];
  const kind: ResourceKind<"StreamJob", Seen, Step> = {
    kind: "StreamJob",
    observe: async (one, look) => ({
      ...look,
      job: one,
      pods: (await look.live.owned("Pod", { namespace: "jobs", name: "clicks" })).length,
    }),
    decide: (seen) => {
      const { status = seen.job.status ?? {}, step = { kind: "wait" as const }, ...more } = choose(seen, looks++);
      return { status, step, events: [], ...more };
    },
    carryOut: (step) => {
      steps.push(step.kind);
      return carryOut(step);
    },
    refusable: new Set(["startSavepoint"]),
    asksAtRest: () => true,
  };
  const events = new EventRecorder(cluster, machine, "operator-0");
  const reconciler = new ResourceReconciler(kind, { cluster, cache, machine, events });
  cluster.requests.clear();
  return {
    reconcile: async () => {
      let result: unknown;
      let failure: unknown;
      const done = reconciler.reconcile("jobs/clicks", stop.signal).then(
        (value) => (result = value),
        (error: unknown) => (failure = error),
      );
      await time.pass(1);
      await done;
      return { result, failure };
    },
    asked: () => Object.fromEntries([...cluster.requests].filter(([verb]) => !verb.startsWith("watch"))),
    steps,
    looks: () => looks,
    close: async () => {
      stop.abort();
      await time.pass(1);
      await informers;
    },
  };
}

test("where nothing is to be done the cluster is asked nothing, and pods are asked again after a minute", async () => {
  const world = await open(() => ({}));
  const { result } = await world.reconcile();
  expect(result).toEqual({ requeueAfterMs: 60_000 });
  expect(world.asked()).toEqual({});
  await world.close();
});

test("while only the status is written, and for papers, pods are listed once; after a step that may change them, again", async () => {
  const world = await open(({ job: { status } }, looks) => {
    if (status?.run === undefined) return { status: { run: 1 }, step: { kind: "apply" } };
    if (looks < 3) return { step: { kind: "createToken" } };
    return looks === 3 ? { step: { kind: "apply" } } : {};
  });
  await world.reconcile();
  expect(world.steps).toEqual(["createToken", "apply"]);
  // One list before the step, and one behind it.
  expect(world.asked()).toMatchObject({ "list Pod": 2 });
  await world.close();
});

test("a namespace that goes: one more look that knows it, then a pause, however many steps are left", async () => {
  const known: boolean[] = [];
  const world = await open(
    ({ terminating }) => {
      known.push(terminating);
      return { step: { kind: "apply" } };
    },
    () => Promise.reject(new ClusterError("terminating", "Pod", "the namespace is being deleted")),
  );
  const { result } = await world.reconcile();
  expect(result).toEqual({ requeueAfterMs: 2_000 });
  // The glance, the first look, and the one that knows.
  expect(known).toEqual([false, false, true]);
  await world.close();
});

test("a pod that cannot be reached is no error: it is looked at again soon", async () => {
  const world = await open(
    () => ({ step: { kind: "startSavepoint" } }),
    () => Promise.reject(new JobClientError("unreachable", "clicks", "connection refused")),
  );
  const { result, failure } = await world.reconcile();
  expect(failure).toBeUndefined();
  expect(result).toEqual({ requeueAfterMs: 500 });
  expect(world.steps).toEqual(["startSavepoint"]);
  await world.close();
});

test("a refusal is known to the next decision; of a step that cannot be refused it is an error", async () => {
  const refuse = (): Promise<void> => Promise.reject(new JobClientError("refused", "clicks", "not now"));
  const told: unknown[] = [];
  const asks = await open(({ refused }) => {
    told.push(refused);
    return refused === undefined ? { step: { kind: "startSavepoint" } } : {};
  }, refuse);
  expect((await asks.reconcile()).failure).toBeUndefined();
  expect(told.at(-1)).toMatchObject({ step: "startSavepoint" });
  await asks.close();
  const applies = await open(() => ({ step: { kind: "apply" } }), refuse);
  expect((await applies.reconcile()).failure).toBeInstanceOf(JobClientError);
  await applies.close();
});
