// Kinds whose controllers are not part of this version: their status says so.
import type { Condition } from "millrace/api";
import type { Reconciled } from "../controller/controller.ts";
import type { ObjectCache } from "../controller/object-cache.ts";
import type { Machine } from "../ports/machine.ts";
import type { Cluster } from "../ports/cluster.ts";

export class UnsupportedReconciler {
  readonly #kind: "EmbeddedStreamApp";
  readonly #parts: { readonly cluster: Cluster; readonly cache: ObjectCache; readonly machine: Machine };

  constructor(kind: "EmbeddedStreamApp", parts: { readonly cluster: Cluster; readonly cache: ObjectCache; readonly machine: Machine }) {
    this.#kind = kind;
    this.#parts = parts;
  }

  async reconcile(key: string): Promise<Reconciled> {
    const [namespace = "", name = ""] = key.split("/");
    const resource = this.#parts.cache.get(this.#kind, { namespace, name });
    if (resource === undefined || resource.metadata.deletionTimestamp !== undefined) return {};
    const { generation } = resource.metadata;
    const before = resource.status?.conditions?.find(({ type }) => type === "Ready");
    if (before?.reason === "NotYetSupported" && resource.status?.observedGeneration === generation) return {};
    const now = new Date(this.#parts.machine.clock.now()).toISOString().replace(/\.\d+Z$/, "Z");
    const ready: Condition = {
      type: "Ready",
      status: "False",
      reason: "NotYetSupported",
      message: `this version of the operator does not run resources of kind ${this.#kind}; a StreamJob runs the same dataflow`,
      lastTransitionTime: before?.lastTransitionTime ?? now,
      ...(generation === undefined ? {} : { observedGeneration: generation }),
    };
    const status = { ...(generation === undefined ? {} : { observedGeneration: generation }), conditions: [ready] };
    await this.#parts.cluster.replaceStatus({ ...resource, status });
    return {};
  }
}
