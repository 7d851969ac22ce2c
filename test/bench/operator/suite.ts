// Many StreamJobs on a real API server, their pods stubbed out: memory of the operator, time to first reconcile of all after a restart, API
// requests when nothing changes, and the time from a change of a manifest to its workload. `npm run bench -- operator --jobs 5000`
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { setTimeout as sleep } from "node:timers/promises";
import { execFile, spawn } from "node:child_process";
import { promisify } from "node:util";
import { ApiConnection } from "../../../src/kubernetes/api-connection.ts";
import { isClusterError } from "../../../src/ports/cluster-error.ts";
import { idleReconciles } from "./idle-reconciles.ts";
import { OperatorProcess } from "./operator-process.ts";
import { StubPods } from "./stub-pods.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
export interface OperatorOptions {
  readonly jobs: number;
  /** How many manifests are changed, one after the other. */
  readonly changes: number;
  /** How long it is watched while nothing changes. */
  readonly quietSeconds: number;
}

const CLUSTER = "scale";
const PORT = 18_099;
const PER_NAMESPACE = 500;
const AT_A_TIME = 32;
const LIMIT_MS = 3_600_000;
const TELL_MS = 20_000;
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const run = promisify(execFile);
const hack = (...args: readonly string[]): Promise<unknown> =>
  run(`${root}hack/cluster`, [...args, "--name", CLUSTER], { maxBuffer: 1 << 26 });

interface State {
  readonly kubeconfig: string;
  readonly kubectl: string;
}

const state = (): State =>
  JSON.parse(readFileSync(`${process.env["MILLRACE_RUN"] || `${root}.cache/run`}/cluster-${CLUSTER}.json`, "utf8")) as State;
const namespaceOf = (i: number): string => `scale-${Math.floor(i / PER_NAMESPACE)}`;
const nameOf = (i: number): string => `job-${i}`;

function streamJob(i: number, memory: string): object {
  return {
    apiVersion: "millrace.dev/v1alpha1",
    kind: "StreamJob",
    metadata: { name: nameOf(i), namespace: namespaceOf(i) },
    spec: {
      job: { module: "job.ts" },
      checkpoints: { storage: `s3://bucket/${nameOf(i)}` },
      jobManager: { replicas: 1, resources: { memory } },
    },
  };
}

class Api {
  readonly connection: ApiConnection;
  constructor(kubeconfig: string) {
    this.connection = new ApiConnection({ kubeconfig, onRequest: () => {} });
  }
  request<T>(method: "GET" | "POST" | "PATCH", path: string, body?: object, query?: Readonly<Record<string, string>>): Promise<T> {
    const contentType = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    return this.connection.json<T>({
      verb: method,
      subject: path,
      method,
      path,
      contentType,
      timeoutMs: 120_000,
      ...(body === undefined ? {} : { body }),
      ...(query === undefined ? {} : { query }),
    });
  }
}

async function inParallel(count: number, work: (i: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, worker));
}

async function until(what: string, done: () => Promise<boolean>, everyMs = 1000): Promise<number> {
  const start = performance.now();
  while (!(await done())) {
    if (performance.now() - start > LIMIT_MS) throw new Error(`${what}: not within ${LIMIT_MS / 60_000} min`);
    await sleep(everyMs);
  }
  return (performance.now() - start) / 1000;
}

async function measure(api: Api, kubeconfig: string, { jobs, changes, quietSeconds }: OperatorOptions): Promise<void> {
  const pods = new StubPods(api.connection);
  await pods.listen();
  let operator = new OperatorProcess(kubeconfig, PORT);
  try {
    await inParallel(jobs, (i) =>
      api.request("POST", `/apis/millrace.dev/v1alpha1/namespaces/${namespaceOf(i)}/streamjobs`, streamJob(i, "1Gi")),
    );
    say(`${jobs} StreamJobs are made`);
    let told = performance.now();
    const running = async (): Promise<boolean> => {
      await pods.catchUp();
      const count = await operator.metric("millrace_operator_jobs", 'state="Running"');
      if (performance.now() - told > TELL_MS) {
        told = performance.now();
        say(`  ${count} run, ${pods.pods} Deployments have their pod, queue ${await operator.metric("millrace_operator_queue_depth")}`);
      }
      return count >= jobs;
    };
    const seconds = await until("all jobs run", running);
    say(`all Running ${seconds.toFixed(0)} s later, ${pods.pods} Deployments`);

    // Retries and first looks at settled jobs are over when the queue has been empty for a while.
    await until("the queue is empty", async () => (await operator.metric("millrace_operator_queue_depth")) === 0);
    await sleep(30_000);
    const before = await operator.requests();
    const reconciles = await operator.metric("millrace_operator_reconciles_total");
    await sleep(quietSeconds * 1000);
    const after = await operator.requests();
    const asked = [...after].map(([key, count]) => [key, count - (before.get(key) ?? 0)] as const).filter(([, count]) => count > 0);
    const memory = operator.memory();
    say(`memory: ${memory.now} MiB, at most ${memory.most} MiB`);
    say(`${quietSeconds} s in which nothing changes: ${asked.map(([key, count]) => `${key} ${count}`).join(", ") || "no API request"}`);
    say(`  reconciles in that time: ${(await operator.metric("millrace_operator_reconciles_total")) - reconciles}`);

    await operator.stop();
    operator = new OperatorProcess(kubeconfig, PORT);
    const restarted = await until(
      "all are reconciled again",
      async () => (await operator.metric("millrace_operator_reconciles_total")) >= jobs,
      100,
    );
    say(`restart to the first reconcile of all: ${restarted.toFixed(1)} s`);
    await until("the queue is empty", async () => (await operator.metric("millrace_operator_queue_depth")) === 0);
    await latency(api, jobs, changes);
    const end = operator.memory();
    say(`memory after the restart: ${end.now} MiB, at most ${end.most} MiB`);
  } finally {
    await operator.stop();
    pods.close();
    if (operator.log !== "") say(`the operator's warnings:\n${operator.log.slice(-4000)}`);
  }
}

/** From the answer to a change of a manifest until the Deployment says it. */
async function latency(api: Api, jobs: number, changes: number): Promise<void> {
  const times: number[] = [];
  for (let n = 0; n < changes; n++) {
    const i = Math.floor((n * jobs) / changes);
    const namespace = namespaceOf(i);
    await api.request("PATCH", `/apis/millrace.dev/v1alpha1/namespaces/${namespace}/streamjobs/${nameOf(i)}`, {
      spec: { jobManager: { resources: { memory: "1200Mi" } } },
    });
    const start = performance.now();
    const query = { labelSelector: `millrace.dev/job=${nameOf(i)},app.kubernetes.io/component=jobmanager` };
    await until(
      `the Deployment of ${nameOf(i)}`,
      async () =>
        JSON.stringify(await api.request("GET", `/apis/apps/v1/namespaces/${namespace}/deployments`, undefined, query)).includes("1200Mi"),
      5,
    );
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): string => (times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? 0).toFixed(0);
  say(`change of a manifest to its workload, ${times.length} times: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, most ${at(1)} ms`);
}

/** Starts a cluster of its own, and ends it. */
export async function operatorSuite(options: OperatorOptions): Promise<void> {
  const { firstMicros, laterMicros } = await idleReconciles(Math.min(options.jobs, 400));
  const share = (laterMicros / firstMicros).toFixed(2);
  say(
    `CPU of a reconcile of a job that rests: ${firstMicros.toFixed(0)} us the first, ${laterMicros.toFixed(0)} us each later one, ${share} of it`,
  );
  await hack("up");
  // Nobody makes or schedules pods, and nobody looks for the stub's node.
  const held = ["controller-manager", "scheduler"].map((component) =>
    spawn(`${root}hack/cluster`, ["kill", "--component", component, "--seconds", "86400", "--name", CLUSTER], { stdio: "ignore" }),
  );
  try {
    const { kubeconfig, kubectl } = state();
    await run(kubectl, ["--kubeconfig", kubeconfig, "apply", "--server-side", "--force-conflicts", "-f", `${root}crds`]);
    const api = new Api(kubeconfig);
    for (let i = 0; i < options.jobs; i += PER_NAMESPACE) {
      const name = namespaceOf(i);
      await api.request("POST", "/api/v1/namespaces", { apiVersion: "v1", kind: "Namespace", metadata: { name } });
      // Pods need it, and what makes it in every namespace is one of the parts that are held.
      const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default" } };
      await api.request("POST", `/api/v1/namespaces/${name}/serviceaccounts`, account).catch((error: unknown) => {
        if (!isClusterError(error, "exists")) throw error;
      });
    }
    await measure(api, kubeconfig, options);
  } finally {
    for (const child of held) child.kill();
    await hack("down");
  }
}
