// What an API server keeps: objects under resource versions, with finalizers, generations, namespaces and a history that watches read.
import { isDeepStrictEqual } from "node:util";
import { ClusterError } from "../ports/cluster-error.ts";
import type { ListScope, ObjectKey, Preconditions, WatchEvent } from "../ports/cluster.ts";
import type { AnyObject, Kind, Kinds, ObjectMeta } from "../ports/objects.ts";

type Change = (kind: Kind, event: WatchEvent<AnyObject>) => void;

interface Owned {
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
}

const namePattern = /^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/;
const serverFields = ["uid", "resourceVersion", "generation", "creationTimestamp", "deletionTimestamp"] as const;

/** Pods stay until their kubelet has ended them; the simulation's kubelet takes this finalizer away. */
export const kubeletFinalizer = "simulation/kubelet";
export const foregroundFinalizer = "foregroundDeletion";

export class ObjectStore {
  readonly #objects = new Map<Kind, Map<string, AnyObject>>();
  readonly #applied = new Map<string, Owned>();
  readonly #terminating = new Set<string>();
  readonly #now: () => number;
  readonly #listeners: Change[] = [];
  #version = 1000;
  #uids = 0;

  constructor(now: () => number) {
    this.#now = now;
  }

  get version(): number {
    return this.#version;
  }

  onChange(listener: Change): void {
    this.#listeners.push(listener);
  }

  get<K extends Kind>(kind: K, { namespace, name }: ObjectKey): Kinds[K] | undefined {
    return this.#of(kind).get(`${namespace}/${name}`) as Kinds[K] | undefined;
  }

  list<K extends Kind>(kind: K, scope: ListScope): readonly Kinds[K][] {
    return [...this.#of(kind).values()].filter((object) => matches(object, scope)) as unknown as readonly Kinds[K][];
  }

  create<T extends AnyObject>(object: T): T {
    const { namespace = "" } = object.metadata;
    const subject = `${object.kind} ${namespace}/${object.metadata.name}`;
    if (!namePattern.test(object.metadata.name)) throw new ClusterError("invalid", subject, "metadata.name: must be a DNS subdomain");
    if (this.#terminating.has(namespace)) throw new ClusterError("terminating", subject, "the namespace is being terminated");
    if (this.#of(object.kind as Kind).has(`${namespace}/${object.metadata.name}`))
      throw new ClusterError("exists", subject, "already exists");
    const finalizers = [...(object.metadata.finalizers ?? []), ...(object.kind === "Pod" ? [kubeletFinalizer] : [])];
    const metadata: ObjectMeta = {
      ...object.metadata,
      uid: `uid-${++this.#uids}`,
      generation: 1,
      creationTimestamp: new Date(this.#now()).toISOString().replace(/\.\d+Z$/, "Z"),
      ...(finalizers.length > 0 ? { finalizers } : {}),
    };
    return this.#store({ ...object, metadata }, "ADDED");
  }

  /** Server-side apply, as far as the operator uses it: given fields are set, labels and annotations that were given before and are not now go. */
  apply<T extends AnyObject>(object: T): T {
    const before = this.get(object.kind as Kind, keyOf(object)) as T | undefined;
    const owned: Owned = { labels: Object.keys(object.metadata.labels ?? {}), annotations: Object.keys(object.metadata.annotations ?? {}) };
    if (before === undefined) {
      const made = this.create(object);
      this.#applied.set(made.metadata.uid ?? "", owned);
      return made;
    }
    const earlier = this.#applied.get(before.metadata.uid ?? "") ?? { labels: [], annotations: [] };
    this.#applied.set(before.metadata.uid ?? "", owned);
    const { labels: _labels, annotations: _annotations, ...rest } = before.metadata;
    const metadata: ObjectMeta = {
      ...rest,
      ...present("labels", merged(before.metadata.labels, earlier.labels, object.metadata.labels)),
      ...present("annotations", merged(before.metadata.annotations, earlier.annotations, object.metadata.annotations)),
      ...(object.metadata.ownerReferences === undefined ? {} : { ownerReferences: object.metadata.ownerReferences }),
    };
    return this.#change(before, { ...before, ...object, metadata, ...statusOf(before) });
  }

  replace<T extends AnyObject>(object: T): T {
    const before = this.#expect(object);
    return this.#change(before, { ...object, metadata: { ...object.metadata, ...pick(before.metadata) }, ...statusOf(before) });
  }

  replaceStatus<T extends AnyObject>(object: T): T {
    const before = this.#expect(object);
    return this.#change(before, { ...before, ...statusOf(object) });
  }

  /** Any change of one object, by a controller of the simulation: not under a version. */
  update<K extends Kind>(kind: K, key: ObjectKey, change: (before: Kinds[K]) => Kinds[K]): void {
    const before = this.get(kind, key);
    if (before !== undefined) this.#change(before, change(before));
  }

  patchMetadata(
    kind: Kind,
    key: ObjectKey,
    patch: { resourceVersion: string; finalizers?: readonly string[]; annotations?: Readonly<Record<string, string | null>> },
  ): void {
    const before = this.get(kind, key);
    if (before === undefined) throw new ClusterError("missing", `${kind} ${key.namespace}/${key.name}`, "not found");
    this.#checkVersion(before, patch.resourceVersion);
    const annotations = Object.entries({ ...before.metadata.annotations, ...patch.annotations }).filter(
      (entry): entry is [string, string] => entry[1] !== null,
    );
    this.#change(before, {
      ...before,
      metadata: {
        ...before.metadata,
        annotations: Object.fromEntries(annotations),
        ...(patch.finalizers === undefined ? {} : { finalizers: patch.finalizers }),
      },
    });
  }

  delete(kind: Kind, key: ObjectKey, { uid, resourceVersion }: Preconditions = {}, foreground = false): void {
    const before = this.get(kind, key);
    if (before === undefined) return;
    if (uid !== undefined && uid !== before.metadata.uid) throw new ClusterError("conflict", key.name, "the uid is another");
    if (resourceVersion !== undefined) this.#checkVersion(before, resourceVersion);
    const finalizers = before.metadata.finalizers ?? [];
    const blocking = foreground && this.dependents(before).length > 0 && !finalizers.includes(foregroundFinalizer);
    const metadata: ObjectMeta = {
      ...before.metadata,
      deletionTimestamp: before.metadata.deletionTimestamp ?? new Date(this.#now()).toISOString(),
      ...(blocking ? { finalizers: [...finalizers, foregroundFinalizer] } : {}),
    };
    this.#change(before, { ...before, metadata });
  }

  terminateNamespace(namespace: string): void {
    this.#terminating.add(namespace);
    for (const [kind, objects] of this.#objects) {
      for (const object of objects.values()) if (object.metadata.namespace === namespace) this.delete(kind, keyOf(object));
    }
  }

  dependents(owner: AnyObject): readonly AnyObject[] {
    const found: AnyObject[] = [];
    for (const objects of this.#objects.values()) {
      for (const object of objects.values()) {
        if (object.metadata.ownerReferences?.some(({ uid }) => uid === owner.metadata.uid) === true) found.push(object);
      }
    }
    return found;
  }

  #change<T extends AnyObject>(before: T, after: T): T {
    if (isDeepStrictEqual(before, after)) return before;
    const { metadata } = after;
    if (metadata.deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0) {
      this.#of(after.kind as Kind).delete(`${metadata.namespace ?? ""}/${metadata.name}`);
      const last = { ...after, metadata: { ...metadata, resourceVersion: String(++this.#version) } };
      for (const listener of this.#listeners) listener(after.kind as Kind, { type: "DELETED", object: last });
      return last;
    }
    const specChanged = !isDeepStrictEqual(withoutStatus(before), withoutStatus(after));
    const generation = (before.metadata.generation ?? 1) + (specChanged ? 1 : 0);
    return this.#store({ ...after, metadata: { ...metadata, generation } }, "MODIFIED");
  }

  #store<T extends AnyObject>(object: T, type: "ADDED" | "MODIFIED"): T {
    const { metadata } = object;
    const stored = { ...object, metadata: { ...metadata, resourceVersion: String(++this.#version) } };
    this.#of(object.kind as Kind).set(`${metadata.namespace ?? ""}/${metadata.name}`, stored);
    for (const listener of this.#listeners) listener(object.kind as Kind, { type, object: stored });
    return stored;
  }

  #expect<T extends AnyObject>(object: T): T {
    const before = this.get(object.kind as Kind, keyOf(object)) as T | undefined;
    if (before === undefined) throw new ClusterError("missing", `${object.kind} ${object.metadata.name}`, "not found");
    this.#checkVersion(before, object.metadata.resourceVersion);
    return before;
  }

  #checkVersion(before: AnyObject, version: string | undefined): void {
    if (version !== before.metadata.resourceVersion)
      throw new ClusterError("conflict", `${before.kind} ${before.metadata.name}`, "the object has been modified");
  }

  #of(kind: Kind): Map<string, AnyObject> {
    const objects = this.#objects.get(kind) ?? new Map<string, AnyObject>();
    this.#objects.set(kind, objects);
    return objects;
  }
}

export const keyOf = ({ metadata }: AnyObject): ObjectKey => ({ namespace: metadata.namespace ?? "", name: metadata.name });

export function matches(object: AnyObject, { namespace, labels = {} }: ListScope): boolean {
  if (namespace !== undefined && object.metadata.namespace !== namespace) return false;
  return Object.entries(labels).every(([name, value]) => object.metadata.labels?.[name] === value);
}

function merged(
  before: Readonly<Record<string, string>> = {},
  gone: readonly string[] = [],
  given: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> | undefined {
  const all = { ...Object.fromEntries(Object.entries(before).filter(([name]) => !gone.includes(name))), ...given };
  return Object.keys(all).length === 0 ? undefined : all;
}

const present = (field: "labels" | "annotations", value: Readonly<Record<string, string>> | undefined): Partial<ObjectMeta> =>
  value === undefined ? {} : { [field]: value };
const pick = (metadata: ObjectMeta): Partial<ObjectMeta> =>
  Object.fromEntries(serverFields.filter((field) => metadata[field] !== undefined).map((field) => [field, metadata[field]]));
const statusOf = (object: AnyObject): object => ("status" in object ? { status: object.status } : {});
const withoutStatus = (object: AnyObject): object => ({ ...object, metadata: undefined, status: undefined });
