// Pods that are not there: for every Deployment of the operator's, one Pod object that says it runs, whose JobManager answers from one server
// of this process. Each pod has a loopback address of its own, by which the server knows whom it speaks for.
import { createServer, type Server } from "node:http";
import type { ApiConnection } from "../../../src/kubernetes/api-connection.ts";

interface Deployment {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly generation: number;
    readonly deletionTimestamp?: string;
  };
  readonly spec: {
    readonly replicas: number;
    readonly template: { readonly metadata: { readonly labels: Readonly<Record<string, string>> } };
  };
}

const TIMEOUT_MS = 60_000;
const AT_A_TIME = 24;
const REST_PORT = 8081;

export class StubPods {
  readonly #api: ApiConnection;
  readonly #runs = new Map<string, number>();
  readonly #made = new Map<string, string>();
  readonly #server: Server;
  #next = 0;

  constructor(api: ApiConnection) {
    this.#api = api;
    this.#server = createServer((request, response) => {
      const run = this.#runs.get(request.socket.localAddress?.replace("::ffff:", "") ?? "");
      response.setHeader("content-type", "application/json");
      if (run === undefined || request.url !== "/v1/job") response.statusCode = 404;
      response.end(JSON.stringify(run === undefined ? {} : jobAnswer(run)));
    });
  }

  get pods(): number {
    return this.#made.size;
  }

  listen(): Promise<void> {
    return new Promise((resolve) => this.#server.listen(REST_PORT, "0.0.0.0", resolve));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }

  /** Makes pods for the Deployments that have none. */
  async catchUp(): Promise<void> {
    const { items } = await this.#api.json<{ items: Deployment[] }>({
      verb: "list",
      subject: "Deployment",
      method: "GET",
      path: "/apis/apps/v1/deployments",
      query: { labelSelector: "app.kubernetes.io/managed-by=millrace" },
      timeoutMs: TIMEOUT_MS,
    });
    const fresh = items.filter(({ metadata }) => !this.#made.has(metadata.uid));
    for (let at = 0; at < fresh.length; at += AT_A_TIME) await Promise.all(fresh.slice(at, at + AT_A_TIME).map((one) => this.#make(one)));
  }

  async #make(deployment: Deployment): Promise<void> {
    const { namespace, name, uid, generation } = deployment.metadata;
    const labels = deployment.spec.template.metadata.labels;
    const number = this.#next++;
    const podIP = `127.${1 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`;
    const path = `/api/v1/namespaces/${namespace}/pods`;
    const pod = {
      apiVersion: "v1",
      kind: "Pod",
      metadata: { name: `${name}-0`, labels },
      spec: { containers: [{ name: "millrace", image: "stub" }], automountServiceAccountToken: false, nodeName: "stub" },
    };
    await this.#write("POST", path, pod);
    const now = new Date().toISOString();
    const ready = { type: "Ready", status: "True", lastTransitionTime: now };
    const containerStatuses = [
      {
        name: "millrace",
        ready: true,
        started: true,
        restartCount: 0,
        image: "stub",
        imageID: "stub",
        state: { running: { startedAt: now } },
      },
    ];
    await this.#write("PATCH", `${path}/${name}-0/status`, {
      status: { phase: "Running", podIP, podIPs: [{ ip: podIP }], conditions: [ready], containerStatuses },
    });
    this.#runs.set(podIP, Number(labels["millrace.dev/run"]));
    const { replicas } = deployment.spec;
    await this.#write("PATCH", `/apis/apps/v1/namespaces/${namespace}/deployments/${name}/status`, {
      status: { observedGeneration: generation, replicas, readyReplicas: replicas, updatedReplicas: replicas, availableReplicas: replicas },
    });
    this.#made.set(uid, podIP);
  }

  #write(method: "POST" | "PATCH", path: string, body: object): Promise<unknown> {
    const contentType = method === "PATCH" ? "application/merge-patch+json" : "application/json";
    return this.#api.json({ verb: method.toLowerCase(), subject: "stub", method, path, body, contentType, timeoutMs: TIMEOUT_MS });
  }
}

/** A job that runs and has completed a checkpoint. */
function jobAnswer(run: number): object {
  return {
    name: "stub",
    run,
    leader: true,
    state: "running",
    parallelism: 1,
    maxParallelism: 128,
    restarts: 0,
    lastFailure: null,
    restoredFrom: null,
    runningSinceMs: 1_700_000_000_000,
    prepared: true,
    lastCheckpoint: { id: 1, location: "s3://bucket/stub/checkpoints/1", completedAtMs: 1_700_000_001_000 },
  };
}
