// The Cluster port over an API server in memory: for the simulation, where requests take time and watches are late, fall silent or are cut; and for a laptop.
import { ClusterError } from "../ports/cluster-error.ts";
import type { Cluster, Keep, ListScope, ObjectKey, Preconditions, WatchEvent } from "../ports/cluster.ts";
import type { AnyObject, Kind, Kinds } from "../ports/objects.ts";
import { matches, ObjectStore } from "./object-store.ts";
import type { Clock } from "../ports/machine.ts";

interface Watcher {
  readonly kind: Kind;
  readonly scope: ListScope;
  readonly sink: (event: WatchEvent<AnyObject>) => void;
  readonly end: (error?: Error) => void;
  silent: boolean;
  /** When the last event that is under way arrives: events keep their order. */
  busyUntilMs: number;
}

export interface Timing {
  readonly requestMs: () => number;
  readonly watchDelayMs: () => number;
}

const bookmarkMs = 60_000;
const historyLength = 2000;

export class MemoryCluster implements Cluster {
  readonly store: ObjectStore;
  readonly #time: Clock;
  readonly #timing: Timing;
  #cancelBookmarks: () => void = () => {};
  readonly #watchers = new Set<Watcher>();
  readonly #history: { readonly version: number; readonly kind: Kind; readonly event: WatchEvent<AnyObject> }[] = [];
  /** Requests by verb, for tests that count them. */
  readonly requests = new Map<string, number>();

  constructor(time: Clock, timing: Timing) {
    this.#time = time;
    this.#timing = timing;
    this.store = new ObjectStore(() => time.now());
    this.store.onChange((kind, event) => {
      this.#history.push({ version: this.store.version, kind, event });
      if (this.#history.length > historyLength) this.#history.shift();
      for (const watcher of this.#watchers) if (watcher.kind === kind) this.#deliver(watcher, event);
    });
    this.#bookmarks();
  }

  async get<K extends Kind>(kind: K, key: ObjectKey): Promise<Kinds[K] | undefined> {
    await this.#request("get", kind);
    return this.store.get(kind, key);
  }

  async list<K extends Kind>(
    kind: K,
    scope: ListScope,
    keep: Keep<Kinds[K]> = (object) => object,
  ): Promise<{ readonly items: readonly Kinds[K][]; readonly resourceVersion: string }> {
    await this.#request("list", kind);
    return { items: this.store.list(kind, scope).map(keep), resourceVersion: String(this.store.version) };
  }

  async watch<K extends Kind>(
    kind: K,
    scope: ListScope & { readonly resourceVersion: string },
    sink: (event: WatchEvent<Kinds[K]>) => void,
    signal: AbortSignal,
  ): Promise<void> {
    await this.#request("watch", kind);
    if (signal.aborted) return;
    const from = Number(scope.resourceVersion);
    const [oldest] = this.#history;
    if (oldest !== undefined && this.#history.length === historyLength && from < oldest.version)
      throw new ClusterError("expired", kind, "too old resource version");
    await new Promise<void>((resolve, reject) => {
      const watcher: Watcher = {
        kind,
        scope,
        sink: sink as (event: WatchEvent<AnyObject>) => void,
        silent: false,
        busyUntilMs: 0,
        end: (error) => {
          this.#watchers.delete(watcher);
          signal.removeEventListener("abort", abort);
          if (error === undefined) resolve();
          else reject(error);
        },
      };
      const abort = (): void => watcher.end();
      signal.addEventListener("abort", abort);
      this.#watchers.add(watcher);
      for (const past of this.#history) if (past.version > from && past.kind === kind) this.#deliver(watcher, past.event);
    });
  }

  async apply<T extends AnyObject>(object: T): Promise<T> {
    await this.#request("apply", object.kind);
    return this.store.apply(object);
  }

  async create<T extends AnyObject>(object: T): Promise<T> {
    await this.#request("create", object.kind);
    return this.store.create(object);
  }

  async replace<T extends AnyObject>(object: T): Promise<T> {
    await this.#request("replace", object.kind);
    return this.store.replace(object);
  }

  async replaceStatus<T extends AnyObject>(object: T): Promise<T> {
    await this.#request("replaceStatus", object.kind);
    return this.store.replaceStatus(object);
  }

  async patchMetadata(kind: Kind, key: ObjectKey, patch: Parameters<Cluster["patchMetadata"]>[2]): Promise<void> {
    await this.#request("patchMetadata", kind);
    this.store.patchMetadata(kind, key, patch);
  }

  async delete(kind: Kind, key: ObjectKey, preconditions?: Preconditions): Promise<void> {
    await this.#request("delete", kind);
    this.store.delete(kind, key, preconditions, true);
  }

  /** From now on these watches deliver nothing and do not end. */
  silence(kind: Kind): void {
    for (const watcher of this.#watchers) if (watcher.kind === kind) watcher.silent = true;
  }

  /** Ends all watches, as a server that restarts does. */
  cutWatches(): void {
    for (const watcher of this.#watchers) watcher.end(new ClusterError("unavailable", watcher.kind, "connection reset"));
  }

  #deliver(watcher: Watcher, event: WatchEvent<AnyObject>): void {
    if (watcher.silent || (event.type !== "BOOKMARK" && !matches(event.object, watcher.scope))) return;
    const atMs = Math.max(watcher.busyUntilMs, this.#time.now() + this.#timing.watchDelayMs());
    watcher.busyUntilMs = atMs;
    this.#time.after(atMs - this.#time.now(), () => {
      if (this.#watchers.has(watcher) && !watcher.silent) watcher.sink(event);
    });
  }

  /** Ends its watches and its timer. */
  close(): void {
    this.#cancelBookmarks();
    for (const watcher of this.#watchers) watcher.end();
  }

  #bookmarks(): void {
    this.#cancelBookmarks = this.#time.after(bookmarkMs, () => {
      const event: WatchEvent<AnyObject> = { type: "BOOKMARK", resourceVersion: String(this.store.version) };
      for (const watcher of this.#watchers) this.#deliver(watcher, event);
      this.#bookmarks();
    });
  }

  async #request(verb: string, kind: string): Promise<void> {
    const name = `${verb} ${kind}`;
    this.requests.set(name, (this.requests.get(name) ?? 0) + 1);
    await new Promise<void>((resolve) => this.#time.after(this.#timing.requestMs(), resolve));
  }
}
