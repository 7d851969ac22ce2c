// The Cluster port: everything that the operator reads and writes of a cluster. Implementations reject with ClusterError only.
import type { AnyObject, Kind, Kinds } from "./objects.ts";

export interface ObjectKey {
  readonly namespace: string;
  readonly name: string;
}

export interface ListScope {
  /** Without it: all namespaces that the operator may see. */
  readonly namespace?: string;
  /** Labels that all must match. */
  readonly labels?: Readonly<Record<string, string>>;
}

export interface ObjectList<T> {
  readonly items: readonly T[];
  /** A watch from here misses nothing. */
  readonly resourceVersion: string;
}

/** What of an object is kept. Each is given to it as soon as it has come, so that thousands never lie in memory whole. */
export type Keep<T> = (object: T) => T;

export type WatchEvent<T> =
  | { readonly type: "ADDED" | "MODIFIED" | "DELETED"; readonly object: T }
  /** The server has nothing newer than this, and is alive. */
  | { readonly type: "BOOKMARK"; readonly resourceVersion: string };

export interface Preconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface Cluster {
  /** Reads from the source of truth, never from a cache; undefined when there is none. */
  get<K extends Kind>(kind: K, key: ObjectKey): Promise<Kinds[K] | undefined>;
  list<K extends Kind>(kind: K, scope: ListScope, keep?: Keep<Kinds[K]>): Promise<ObjectList<Kinds[K]>>;
  /**
   * Calls `sink` for each change after `resourceVersion`. Resolves when the server ends the watch or `signal` aborts it; rejects with reason
   * `expired` when the version is too old, and then one has to list again.
   */
  watch<K extends Kind>(
    kind: K,
    scope: ListScope & { readonly resourceVersion: string },
    sink: (event: WatchEvent<Kinds[K]>) => void,
    signal: AbortSignal,
  ): Promise<void>;
  /** Server-side apply with the operator's field manager: idempotent, makes or changes, owns the fields that are given. */
  apply<T extends AnyObject>(object: T): Promise<T>;
  /** Rejects with `exists` when there is one. */
  create<T extends AnyObject>(object: T): Promise<T>;
  /** Under the object's resourceVersion: rejects with `conflict` when somebody else has written. */
  replace<T extends AnyObject>(object: T): Promise<T>;
  /** Only `status` is taken over, under the object's resourceVersion. */
  replaceStatus<T extends AnyObject>(object: T): Promise<T>;
  /** Finalizers and annotations, under the given resourceVersion; an annotation that is null is taken away. */
  patchMetadata(
    kind: Kind,
    key: ObjectKey,
    patch: {
      readonly resourceVersion: string;
      readonly finalizers?: readonly string[];
      readonly annotations?: Readonly<Record<string, string | null>>;
    },
  ): Promise<void>;
  /** Dependents go first, then the object (foreground). No error when there is none. */
  delete(kind: Kind, key: ObjectKey, preconditions?: Preconditions): Promise<void>;
}
