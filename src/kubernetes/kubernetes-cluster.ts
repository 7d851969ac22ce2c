// The Cluster port over a Kubernetes API server.
import { ClusterError, isClusterError } from "../ports/cluster-error.ts";
import type { Cluster, Keep, ListScope, ObjectKey, ObjectList, Preconditions, WatchEvent } from "../ports/cluster.ts";
import { typeOf } from "../ports/kind-table.ts";
import type { AnyObject, Kind, Kinds } from "../ports/objects.ts";
import type { ApiConnection, ApiRequest } from "./api-connection.ts";
import { collectionPath, labelSelector, objectPath } from "./resource-path.ts";
import { readWatch } from "./watch-stream.ts";

export const fieldManager = "millrace-operator";

/** Shorter than the time between a leader's renew deadline and its lease's end: what a leader has sent is over before another one may act. */
const writeTimeoutMs = 4_500;
const readTimeoutMs = 15_000;
const listTimeoutMs = 60_000;
const pageSize = "500";

interface ListBody<T> {
  readonly items: readonly T[];
  readonly metadata: { readonly resourceVersion?: string; readonly continue?: string };
}

export class KubernetesCluster implements Cluster {
  readonly #api: ApiConnection;
  readonly #random: () => number;

  constructor(api: ApiConnection, random: () => number) {
    this.#api = api;
    this.#random = random;
  }

  async get<K extends Kind>(kind: K, key: ObjectKey): Promise<Kinds[K] | undefined> {
    try {
      return slim(await this.#api.json<Kinds[K]>(this.#read("get", kind, objectPath(kind, key), readTimeoutMs)));
    } catch (error) {
      if (isClusterError(error, "missing")) return undefined;
      throw error;
    }
  }

  async list<K extends Kind>(kind: K, scope: ListScope, keep: Keep<Kinds[K]> = (object) => object): Promise<ObjectList<Kinds[K]>> {
    const items: Kinds[K][] = [];
    let next = "";
    for (;;) {
      const request = this.#read("list", kind, collectionPath(kind, scope.namespace), listTimeoutMs);
      const query = { labelSelector: labelSelector(scope), limit: pageSize, continue: next };
      const page = await this.#api.json<ListBody<Kinds[K]>>({ ...request, query });
      // Items of a list do not say what they are.
      for (const item of page.items) items.push(keep(slim({ ...item, ...typeOf(kind) } as Kinds[K])));
      next = page.metadata.continue ?? "";
      if (next === "") return { items, resourceVersion: page.metadata.resourceVersion ?? "" };
    }
  }

  async watch<K extends Kind>(
    kind: K,
    scope: ListScope & { readonly resourceVersion: string },
    sink: (event: WatchEvent<Kinds[K]>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    // Below what an informer takes for silence, and not all at the same time.
    const timeoutSeconds = String(180 + Math.floor(this.#random() * 120));
    const body = await this.#api.stream({
      ...this.#read("watch", kind, collectionPath(kind, scope.namespace), readTimeoutMs),
      signal,
      query: {
        watch: "true",
        allowWatchBookmarks: "true",
        resourceVersion: scope.resourceVersion,
        labelSelector: labelSelector(scope),
        timeoutSeconds,
      },
    });
    try {
      await readWatch(kind, body, (event) =>
        sink((event.type === "BOOKMARK" ? event : { ...event, object: slim(event.object) }) as WatchEvent<Kinds[K]>),
      );
    } catch (cause) {
      if (signal.aborted) return;
      if (cause instanceof ClusterError) throw cause;
      throw new ClusterError("unavailable", `watch ${kind}`, cause instanceof Error ? cause.message : String(cause), { cause });
    }
  }

  apply<T extends AnyObject>(object: T): Promise<T> {
    const { path, subject } = this.#about(object);
    return this.#written<T>({
      verb: "apply",
      subject,
      method: "PATCH",
      path,
      query: { fieldManager, force: "true" },
      body: object,
      contentType: "application/apply-patch+yaml",
    });
  }

  create<T extends AnyObject>(object: T): Promise<T> {
    const { kind, subject } = this.#about(object);
    const path = collectionPath(kind, object.metadata.namespace);
    return this.#written<T>({ verb: "create", subject, method: "POST", path, query: { fieldManager }, body: object });
  }

  replace<T extends AnyObject>(object: T): Promise<T> {
    const { path, subject } = this.#about(object);
    return this.#written<T>({ verb: "update", subject, method: "PUT", path, query: { fieldManager }, body: object });
  }

  replaceStatus<T extends AnyObject>(object: T): Promise<T> {
    const { path, subject } = this.#about(object);
    return this.#written<T>({
      verb: "update-status",
      subject,
      method: "PUT",
      path: `${path}/status`,
      query: { fieldManager },
      body: object,
    });
  }

  async patchMetadata(kind: Kind, key: ObjectKey, patch: Parameters<Cluster["patchMetadata"]>[2]): Promise<void> {
    const { resourceVersion, finalizers, annotations } = patch;
    await this.#written<AnyObject>({
      verb: "patch",
      subject: `${kind} ${key.namespace}/${key.name}`,
      method: "PATCH",
      path: objectPath(kind, key),
      query: { fieldManager },
      body: {
        metadata: {
          resourceVersion,
          ...(finalizers === undefined ? {} : { finalizers }),
          ...(annotations === undefined ? {} : { annotations }),
        },
      },
      contentType: "application/merge-patch+json",
    });
  }

  async delete(kind: Kind, key: ObjectKey, preconditions: Preconditions = {}): Promise<void> {
    try {
      await this.#written<unknown>({
        verb: "delete",
        subject: `${kind} ${key.namespace}/${key.name}`,
        method: "DELETE",
        path: objectPath(kind, key),
        body: { apiVersion: "v1", kind: "DeleteOptions", propagationPolicy: "Foreground", preconditions },
      });
    } catch (error) {
      // Another object of the same name is not the one that was meant.
      if (!isClusterError(error, "missing") && !(preconditions.uid !== undefined && isClusterError(error, "conflict"))) throw error;
    }
  }

  async #written<T>(request: Omit<ApiRequest, "timeoutMs">): Promise<T> {
    const answer = await this.#api.json<T>({ ...request, timeoutMs: writeTimeoutMs });
    return typeof answer === "object" && answer !== null && "metadata" in answer
      ? (slim(answer as unknown as AnyObject) as unknown as T)
      : answer;
  }

  #read(verb: string, kind: Kind, path: string, timeoutMs: number): ApiRequest {
    return { verb, subject: `${kind} ${path}`, method: "GET", path, timeoutMs };
  }

  #about(object: AnyObject): { readonly kind: Kind; readonly path: string; readonly subject: string } {
    const kind = object.kind as Kind;
    const key = { namespace: object.metadata.namespace ?? "default", name: object.metadata.name };
    return { kind, path: objectPath(kind, key), subject: `${kind} ${key.namespace}/${key.name}` };
  }
}

/** Without the record of who owns which field, which is larger than most objects and which nobody here reads. */
function slim<T extends AnyObject>(object: T): T {
  const { managedFields: _fields, ...metadata } = object.metadata as AnyObject["metadata"] & { readonly managedFields?: unknown };
  return { ...object, metadata };
}
