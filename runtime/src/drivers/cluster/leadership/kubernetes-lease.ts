// A Lease of Kubernetes (coordination.k8s.io/v1) in the job's namespace, through the API server, with the pod's service account.
//
// Plain HTTPS with fetch-like requests of our own: the client library brings some thirty packages for the two calls that are needed here.
import { readFile } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { Agent, request as httpsRequest } from "node:https";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import { object, parseShape, type Shape, text as string } from "../../../checkpoint/format/shape.ts";
import type { LeaderAddress } from "./leader-address.ts";
import type { LeaseRecord, LeaseState, LeaseStore } from "./lease.ts";

export interface KubernetesLeaseOptions {
  readonly namespace: string;
  readonly lease: string;
  /** Default `https://kubernetes.default.svc`, or what the pod's environment says. */
  readonly server?: string;
  /** Where token and ca.crt are; default the service account's folder. */
  readonly accountFolder?: string;
  /** How long a request may take, ms. */
  readonly timeoutMs?: number;
}

interface KubernetesLease {
  readonly metadata: { readonly name?: string; readonly resourceVersion?: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseDurationSeconds?: number | null;
    readonly acquireTime?: string | null;
    readonly renewTime?: string | null;
    readonly leaseTransitions?: number | null;
  };
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

const addressAnnotation = "millrace.dev/leader";
const renewalsAnnotation = "millrace.dev/renewals";

export async function kubernetesLease(options: KubernetesLeaseOptions): Promise<LeaseStore> {
  const client = new LeaseClient(options);
  await client.check();
  return client;
}

class LeaseClient implements LeaseStore {
  readonly #server: string;
  readonly #folder: string;
  readonly #collection: string;
  readonly #name: string;
  readonly #namespace: string;
  readonly #timeoutMs: number;
  #agent: Agent | undefined;
  /** The object as it was read last: what others wrote into it stays. */
  #last: KubernetesLease | undefined;

  constructor({ namespace, lease, server, accountFolder, timeoutMs = 5000 }: KubernetesLeaseOptions) {
    const host = process.env["KUBERNETES_SERVICE_HOST"];
    const port = process.env["KUBERNETES_SERVICE_PORT"] ?? "443";
    const inPod = host === undefined ? "https://kubernetes.default.svc" : `https://${host.includes(":") ? `[${host}]` : host}:${port}`;
    this.#server = server ?? inPod;
    this.#folder = accountFolder ?? "/var/run/secrets/kubernetes.io/serviceaccount";
    this.#collection = `/apis/coordination.k8s.io/v1/namespaces/${encodeURIComponent(namespace)}/leases`;
    this.#name = lease;
    this.#namespace = namespace;
    this.#timeoutMs = timeoutMs;
  }

  /** Rejects with LEASE_DENIED when the service account is missing. */
  async check(): Promise<void> {
    await this.#token();
  }

  async read(): Promise<LeaseState | undefined> {
    const { status, text } = await this.#call("GET", `${this.#collection}/${this.#name}`);
    if (status === 404) {
      this.#last = undefined;
      return undefined;
    }
    if (status !== 200) throw this.#failure(status, text);
    const lease = this.#parse(status, text);
    this.#last = lease;
    return stateOf(lease);
  }

  async write(record: LeaseRecord, version: string | undefined): Promise<boolean> {
    const before = version === undefined ? undefined : this.#last;
    const body = JSON.stringify(this.#leaseOf(record, before, version));
    const { status, text } =
      version === undefined
        ? await this.#call("POST", this.#collection, body)
        : await this.#call("PUT", `${this.#collection}/${this.#name}`, body);
    if (status === 409 || status === 404) return false;
    if (status !== 200 && status !== 201) throw this.#failure(status, text);
    this.#last = this.#parse(status, text);
    return true;
  }

  async note(name: string): Promise<string | undefined> {
    await this.read();
    return this.#last?.metadata.annotations?.[name];
  }

  close(): Promise<void> {
    this.#agent?.destroy();
    return Promise.resolve();
  }

  #leaseOf(record: LeaseRecord, before: KubernetesLease | undefined, version: string | undefined): object {
    const now = new Date().toISOString().replace("Z", "000Z");
    const same = before?.spec?.holderIdentity === record.holder;
    return {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: {
        ...before?.metadata,
        name: this.#name,
        namespace: this.#namespace,
        ...(version === undefined ? {} : { resourceVersion: version }),
        annotations: {
          ...before?.metadata.annotations,
          [addressAnnotation]: JSON.stringify(record.address),
          [renewalsAnnotation]: String(record.renewals),
        },
      },
      spec: {
        ...before?.spec,
        // An empty holder is a free lease to everybody who knows leases.
        holderIdentity: record.released ? "" : record.holder,
        leaseDurationSeconds: Math.max(1, Math.round(record.durationMs / 1000)),
        acquireTime: same ? (before?.spec?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: (before?.spec?.leaseTransitions ?? 0) + (same || before === undefined ? 0 : 1),
      },
    };
  }

  async #token(): Promise<string> {
    try {
      // It is rotated: read at each call.
      return (await readFile(`${this.#folder}/token`, "utf8")).trim();
    } catch (cause) {
      throw new MillraceError(
        "LEASE_DENIED",
        this.#folder,
        messageOf(cause),
        "run in a pod with a service account, or use --leadership storage",
        {
          cause,
        },
      );
    }
  }

  async #call(method: string, path: string, body?: string): Promise<Answer> {
    const token = await this.#token();
    const url = new URL(path, this.#server);
    const secure = url.protocol === "https:";
    if (secure && this.#agent === undefined) {
      const ca = await readFile(`${this.#folder}/ca.crt`, "utf8");
      this.#agent = new Agent({ ca, keepAlive: true, maxSockets: 2 });
    }
    const headers = {
      authorization: `Bearer ${token}`,
      accept: "application/json",
      ...(body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
    };
    return new Promise((resolve, reject) => {
      const unreachable = (cause: Error): void =>
        reject(
          new MillraceError(
            "LEASE_UNREACHABLE",
            `${this.#server}${path}`,
            messageOf(cause),
            "check that the API server can be reached from here",
            {
              cause,
            },
          ),
        );
      const signal = AbortSignal.timeout(this.#timeoutMs);
      const options = { method, headers, signal, ...(secure ? { agent: this.#agent } : {}) };
      const call = (secure ? httpsRequest : httpRequest)(url, options, (response) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
        });
        response.on("end", () => resolve({ status: response.statusCode ?? 0, text }));
        response.on("error", unreachable);
      });
      call.on("error", unreachable);
      call.end(body);
    });
  }

  // The API server checks the fields of a Lease; that it is the API server who answers is not certain. Without a version a write would be
  // unconditional, and there could be two leaders.
  #parse(status: number, text: string): KubernetesLease {
    try {
      const lease = JSON.parse(text) as KubernetesLease & { readonly kind?: unknown };
      const version: unknown = lease.metadata.resourceVersion;
      if (lease.kind !== "Lease" || typeof version !== "string" || version === "") throw new SyntaxError();
      return lease;
    } catch {
      throw this.#failure(status, text);
    }
  }

  #failure(status: number, text: string): MillraceError {
    const subject = `Lease ${this.#namespace}/${this.#name}`;
    const problem = `the API server answered ${status}: ${text.slice(0, 300)}`;
    return status === 401 || status === 403
      ? new MillraceError("LEASE_DENIED", subject, problem, "let the service account get, create and update this Lease")
      : new MillraceError("LEASE_UNREACHABLE", subject, problem, "look at the API server; it is tried again");
  }
}

function stateOf({ metadata, spec }: KubernetesLease): LeaseState {
  const annotations = metadata.annotations ?? {};
  return {
    record: {
      holder: spec?.holderIdentity ?? "",
      // Somebody else's tools may write it without our count: the version tells a change as well.
      renewals: renewalsOf(annotations[renewalsAnnotation]),
      durationMs: (spec?.leaseDurationSeconds ?? 15) * 1000,
      address: annotatedAddress(annotations[addressAnnotation]),
      released: (spec?.holderIdentity ?? "") === "",
    },
    version: metadata.resourceVersion ?? "",
    holderIsDead: false,
  };
}

function renewalsOf(text: string | undefined): number {
  const renewals = Number(text ?? 0);
  return Number.isSafeInteger(renewals) && renewals >= 0 ? renewals : 0;
}

const addressShape: Shape<LeaderAddress> = object({ rpc: string, rest: string });

/** Nobody's for an annotation that is not there, or that somebody else wrote. */
function annotatedAddress(annotation: string | undefined): LeaderAddress {
  try {
    return parseShape(addressShape, annotation ?? "", addressAnnotation, (problem) => new Error(problem));
  } catch {
    return { rpc: "", rest: "" };
  }
}
