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
import {
  type Check,
  type Figures,
  listed,
  nothingYet,
  type Phase,
  phaseOf,
  printChecks,
  printPhases,
  unexpected,
  writes,
} from "./phases.ts";
import { StubPods } from "./stub-pods.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
export interface OperatorOptions {
  readonly jobs: number;
  /** How many manifests are changed, one after the other. */
  readonly changes: number;
  /** How long it is watched while nothing changes. */
  readonly quietSeconds: number;
  /** At most so long from a change to its workload, for 99 of 100. */
  readonly p99Ms: number;
}

const CLUSTER = "scale";
const PORT = 18_099;
const PER_NAMESPACE = 500;
const AT_A_TIME = 32;
const LIMIT_MS = 600_000;
const LIMIT_PER_JOB_MS = 3_000;
/** What 5,000 jobs may take of one replica; the limit of the chart is above it. */
const MEMORY_MIB = 300;
const SETTLED_SECONDS = 30;
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
  JSON.parse(readFileSync(`${process.env["MILLRACE_SERVERS"] || `${root}.cache/run`}/cluster-${CLUSTER}.json`, "utf8")) as State;
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

/** The limit ends what hangs; how long it took is told, not judged. */
async function until(what: string, done: () => Promise<boolean>, jobs: number, everyMs = 1000): Promise<void> {
  const limitMs = LIMIT_MS + jobs * LIMIT_PER_JOB_MS;
  const start = performance.now();
  while (!(await done())) {
    if (performance.now() - start > limitMs) throw new Error(`${what}: not within ${(limitMs / 60_000).toFixed(0)} min`);
    await sleep(everyMs);
  }
}

async function measure(api: Api, kubeconfig: string, options: OperatorOptions): Promise<boolean> {
  const { jobs, changes, quietSeconds } = options;
  const pods = new StubPods(api.connection);
  await pods.listen();
  const phases: Phase[] = [];
  const checks: Check[] = [];
  let operator = new OperatorProcess(kubeconfig, PORT);
  const phase = async <T>(name: string, before: Figures, work: () => Promise<T>): Promise<T> => {
    const start = performance.now();
    const result = await work();
    const ended = phaseOf(name, (performance.now() - start) / 1000, before, await operator.figures());
    phases.push(ended);
    say(`${name}: ${ended.seconds.toFixed(1)} s, requests: ${listed(ended.requests)}`);
    return result;
  };
  const memory = (what: string): void => {
    const { now, most } = operator.memory();
    checks.push({ what, limit: `at most ${MEMORY_MIB} MiB`, seen: `${most} MiB, ${now} at the end`, passed: most <= MEMORY_MIB });
  };
  try {
    await phase("all are made and run", nothingYet, () => allRun(api, operator, pods, jobs));
    await settled(operator);
    checks.push({ what: "jobs that run", limit: String(jobs), ...(await running(operator, jobs)) });
    await phase("nothing changes", await operator.figures(), () => sleep(quietSeconds * 1000));
    const idle = unexpected(phases.at(-1)?.requests ?? new Map());
    const quiet = `requests in ${quietSeconds} s without a change`;
    checks.push({ what: quiet, limit: "watches and the Lease only", seen: `beside them: ${listed(idle)}`, passed: idle.size === 0 });
    memory("memory of the first process");

    await operator.stop();
    operator = new OperatorProcess(kubeconfig, PORT);
    await phase("restart: all are reconciled", nothingYet, async () => {
      await until("all are reconciled again", async () => (await operator.metric("millrace_operator_reconciles_total")) >= jobs, jobs, 100);
      await settled(operator);
    });
    const written = writes(phases.at(-1)?.requests ?? new Map());
    checks.push({ what: "jobs that run after a restart", limit: String(jobs), ...(await running(operator, jobs)) });
    checks.push({ what: "what a restart writes", limit: "nothing", seen: listed(written), passed: written.size === 0 });
    const { p50, p99, most } = await phase("manifests change", await operator.figures(), () => latency(api, jobs, changes));
    const times = `p50 ${p50.toFixed(0)} ms, p99 ${p99.toFixed(0)} ms, most ${most.toFixed(0)} ms`;
    const change = `${changes} changes of a manifest, to the workload`;
    checks.push({ what: change, limit: `p99 at most ${options.p99Ms} ms`, seen: times, passed: p99 <= options.p99Ms });
    memory("memory of the second process");
  } finally {
    await operator.stop();
    pods.close();
    if (operator.log !== "") say(`the operator's warnings:\n${operator.log.slice(-4000)}`);
  }
  say("");
  printPhases(phases);
  say("");
  printChecks(checks);
  return checks.every(({ passed }) => passed);
}

async function allRun(api: Api, operator: OperatorProcess, pods: StubPods, jobs: number): Promise<void> {
  await inParallel(jobs, (i) =>
    api.request("POST", `/apis/millrace.dev/v1alpha1/namespaces/${namespaceOf(i)}/streamjobs`, streamJob(i, "1Gi")),
  );
  say(`${jobs} StreamJobs are made`);
  let told = performance.now();
  const done = async (): Promise<boolean> => {
    await pods.catchUp();
    const { seen, passed } = await running(operator, jobs);
    if (performance.now() - told > TELL_MS) {
      told = performance.now();
      say(`  ${seen} run, ${pods.pods} Deployments have their pod, queue ${await operator.metric("millrace_operator_queue_depth")}`);
    }
    return passed;
  };
  await until("all jobs run", done, jobs);
}

async function running(operator: OperatorProcess, jobs: number): Promise<{ readonly seen: string; readonly passed: boolean }> {
  const count = await operator.metric("millrace_operator_jobs", 'state="Running"');
  return { seen: String(count), passed: count === jobs };
}

/** Retries and first looks at settled jobs are over when the queue has been empty for a while. */
async function settled(operator: OperatorProcess): Promise<void> {
  for (let quiet = 0; quiet < SETTLED_SECONDS; ) {
    await sleep(1000);
    quiet = (await operator.metric("millrace_operator_queue_depth")) === 0 ? quiet + 1 : 0;
  }
}

/** From the answer to a change of a manifest until the Deployment says it, ms. */
async function latency(api: Api, jobs: number, changes: number): Promise<{ p50: number; p99: number; most: number }> {
  const times: number[] = [];
  for (let n = 0; n < changes; n++) {
    const i = Math.floor((n * jobs) / changes);
    const namespace = namespaceOf(i);
    // More changes than jobs change some of them again.
    const memory = `${1200 + n}Mi`;
    await api.request("PATCH", `/apis/millrace.dev/v1alpha1/namespaces/${namespace}/streamjobs/${nameOf(i)}`, {
      spec: { jobManager: { resources: { memory } } },
    });
    const start = performance.now();
    const query = { labelSelector: `millrace.dev/job=${nameOf(i)},app.kubernetes.io/component=jobmanager` };
    await until(
      `the Deployment of ${nameOf(i)}`,
      async () =>
        JSON.stringify(await api.request("GET", `/apis/apps/v1/namespaces/${namespace}/deployments`, undefined, query)).includes(memory),
      jobs,
      5,
    );
    times.push(performance.now() - start);
  }
  times.sort((a, b) => a - b);
  const at = (share: number): number => times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99), most: at(1) };
}

/** Starts a cluster of its own, and ends it. True: every check has passed. */
export async function operatorSuite(options: OperatorOptions): Promise<boolean> {
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
    return await measure(api, kubeconfig, options);
  } finally {
    for (const child of held) child.kill();
    await hack("down");
  }
}
