// What a reconcile costs when nothing is to be done, in CPU time: the first look of an operator at a job, and each later one.
import { EventRecorder } from "../../../src/controller/event-recorder.ts";
import { ObjectCache } from "../../../src/controller/object-cache.ts";
import { cachedKinds } from "../../../src/operator/cached-kinds.ts";
import type { JobClient } from "../../../src/ports/job-client.ts";
import { silentLog } from "../../../src/ports/machine.ts";
import { namespace, World } from "../../../src/simulation/world.ts";
import { streamJobReconciler } from "../../../src/streamjob/reconciler.ts";
import { median } from "../table.ts";

export interface IdleReconciles {
  readonly jobs: number;
  /** Microseconds of CPU time per reconcile: the first of a job, for which all its objects are built. */
  readonly firstMicros: number;
  /** The later ones, pods being asked each time. */
  readonly laterMicros: number;
}

const rounds = 10;
const laterLooks = 5;
const seed = 1;

/** Brings jobs up in a simulated cluster, then looks at each of them again and again. */
export async function idleReconciles(jobs: number): Promise<IdleReconciles> {
  const world = new World({ seed });
  const names = Array.from({ length: jobs }, (_, i) => `job-${i}`);
  for (const name of names) {
    world.create({ image: "app:1", job: { module: "job.ts" }, checkpoints: { storage: `s3://bucket/${name}` } }, name);
  }
  world.startOperator();
  if (!(await world.time.until(() => names.every((name) => world.settled(name)), 600_000))) throw new Error("not all jobs run");
  world.close();
  const { cluster, time } = world;
  const machine = { clock: time, random: () => 0.5, secret: () => "secret", log: silentLog };
  const cache = new ObjectCache(cluster, machine, cachedKinds([]));
  const stop = new AbortController();
  const informers = cache.run(stop.signal);
  await time.pass(1_000);
  const looks = async (reconciler: ReturnType<typeof streamJobReconciler>): Promise<number> => {
    const before = process.cpuUsage();
    for (const name of names) await reconciler.reconcile(`${namespace}/${name}`, stop.signal);
    const { user, system } = process.cpuUsage(before);
    return (user + system) / jobs;
  };
  const first: number[] = [];
  const later: number[] = [];
  cluster.requests.clear();
  for (let round = 0; round < rounds; round++) {
    const events = new EventRecorder(cluster, machine, "bench");
    const reconciler = streamJobReconciler({ cluster, cache, machine, events, client: running, defaultImage: undefined, restingMs: 0 });
    first.push(await looks(reconciler));
    for (let look = 0; look < laterLooks; look++) later.push(await looks(reconciler));
  }
  const asked = [...cluster.requests.keys()].filter((request) => !request.startsWith("watch"));
  if (asked.length > 0) throw new Error(`reconciles of jobs that rest asked the API server: ${asked.join(", ")}`);
  stop.abort();
  await time.pass(1);
  await informers;
  return { jobs, firstMicros: median(first), laterMicros: median(later) };
}

/** Every run is as it should be. */
const running: JobClient = {
  report: async ({ run }) => ({
    run,
    state: "running",
    parallelism: 1,
    restarts: 0,
    lastFailure: undefined,
    restoredFrom: undefined,
    runningSinceMs: 1,
    prepared: true,
    lastCheckpoint: { id: 1, location: undefined, completedAtMs: 1 },
  }),
  start: () => Promise.reject(new Error("nothing is to be started")),
  startSavepoint: () => Promise.reject(new Error("no savepoint is to be taken")),
  savepoint: async () => undefined,
  rescale: () => Promise.reject(new Error("nothing is to be rescaled")),
};
