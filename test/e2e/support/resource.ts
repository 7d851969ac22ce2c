// A custom resource of the cluster tests: its manifest, changes of it, and what its status says.
import { kubectl } from "../../support/cluster.ts";
import { eventually } from "./eventually.ts";

export interface ResourceObject<Spec, Status> {
  readonly metadata: { readonly name: string; readonly generation: number };
  readonly spec: Spec;
  readonly status?: Status;
}

export class TestResource<Spec extends object, Status> {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;

  constructor(kind: string, namespace: string, name: string) {
    this.kind = kind;
    this.namespace = namespace;
    this.name = name;
  }

  /** Applies the manifest, and before it `others`. */
  async applySpec(spec: Spec, others: readonly object[] = []): Promise<void> {
    const metadata = { name: this.name, namespace: this.namespace };
    const items = [...others, { apiVersion: "millrace.dev/v1alpha1", kind: this.kind, metadata, spec }];
    await kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }));
  }

  async get(): Promise<ResourceObject<Spec, Status>> {
    const read = await kubectl(["get", this.kind.toLowerCase(), this.name, "-n", this.namespace, "-o", "json"]);
    return JSON.parse(read) as ResourceObject<Spec, Status>;
  }

  /** Waits until the status is as wanted, and returns it; fails with everything a person would look at. */
  async until(
    what: string,
    wanted: (status: Status, object: ResourceObject<Spec, Status>) => boolean,
    timeoutMs = 600_000,
  ): Promise<Status> {
    try {
      return await eventually(
        `${this.name} ${what}`,
        async () => {
          const object = await this.get();
          return object.status !== undefined && wanted(object.status, object) ? object.status : undefined;
        },
        { timeoutMs },
      );
    } catch (error) {
      throw new Error(`${String(error)}\n${await this.describe()}`, { cause: error });
    }
  }

  async describe(): Promise<string> {
    const part = (...args: readonly string[]): Promise<string> => kubectl(args).catch(String);
    const here = ["-n", this.namespace];
    const parts = await Promise.all([
      part("get", this.kind.toLowerCase(), this.name, ...here, "-o", "jsonpath={.status}"),
      part("get", "pods", ...here, "-o", "wide"),
      part("get", "events", ...here, "--sort-by=.lastTimestamp"),
      part("logs", ...here, "-l", `app.kubernetes.io/name=${this.name}`, "--prefix", "--tail=30", "--ignore-errors"),
    ]);
    return parts.join("\n---\n");
  }
}
