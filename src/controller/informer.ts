// Keeps a copy of one kind's objects by list and watch, and tells of changes. A watch that falls silent is not trusted: it is ended, and all is listed again.
import { isClusterError } from "../ports/cluster-error.ts";
import type { Cluster, ListScope, WatchEvent } from "../ports/cluster.ts";
import type { Kind, Kinds } from "../ports/objects.ts";
import { type Machine, messageOf, sleep } from "../ports/machine.ts";

export interface InformerOptions {
  /** Each is listed and watched for itself: namespaces, where not all of them may be seen. */
  readonly scopes: readonly ListScope[];
  /**
   * Without an event, a bookmark or an end for so long a watch counts as dead. Servers send no bookmarks for kinds that nothing happens to, so this
   * is longer than a watch is asked to last.
   */
  readonly inactivityMs?: number;
  /** What an object is found by, with `find`. */
  readonly index?: (object: Kinds[Kind]) => string | undefined;
  /** What of an object is kept. */
  readonly keep?: (object: Kinds[Kind]) => Kinds[Kind];
}

export type ChangeListener<T> = (object: T, previous: T | undefined) => void;

const inactivityMs = 330_000;
const minPauseMs = 500;
const maxPauseMs = 30_000;

export const keyOf = (object: { readonly metadata: { readonly namespace?: string; readonly name: string } }): string =>
  `${object.metadata.namespace ?? ""}/${object.metadata.name}`;

export class Informer<K extends Kind> {
  readonly kind: K;
  readonly #cluster: Cluster;
  readonly #machine: Machine;
  readonly #options: InformerOptions;
  readonly #objects = new Map<string, Kinds[K]>();
  readonly #byIndex = new Map<string, Set<string>>();
  readonly #listeners: ChangeListener<Kinds[K]>[] = [];
  readonly #synced = new Set<ListScope>();
  #relists = 0;

  constructor(kind: K, cluster: Cluster, machine: Machine, options: InformerOptions) {
    this.kind = kind;
    this.#cluster = cluster;
    this.#machine = machine;
    this.#options = options;
  }

  /** True once everything has been listed. */
  get synced(): boolean {
    return this.#synced.size === this.#options.scopes.length;
  }

  /** How often all objects were listed. */
  get relists(): number {
    return this.#relists;
  }

  get size(): number {
    return this.#objects.size;
  }

  get(key: string): Kinds[K] | undefined {
    return this.#objects.get(key);
  }

  all(): IterableIterator<Kinds[K]> {
    return this.#objects.values();
  }

  /** The objects whose index is this. */
  find(index: string): readonly Kinds[K][] {
    const found: Kinds[K][] = [];
    for (const key of this.#byIndex.get(index) ?? []) {
      const object = this.#objects.get(key);
      if (object !== undefined) found.push(object);
    }
    return found;
  }

  /** Called with each change; `object` is the last known one when it was deleted, and then `previous` is the same. */
  onChange(listener: ChangeListener<Kinds[K]>): void {
    this.#listeners.push(listener);
  }

  /** Lists and watches until `signal` aborts. Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.#options.scopes.map((scope) => this.#follow(scope, signal)));
  }

  async #follow(scope: ListScope, signal: AbortSignal): Promise<void> {
    let resourceVersion: string | undefined;
    let failures = 0;
    while (!signal.aborted) {
      try {
        resourceVersion ??= await this.#list(scope);
        resourceVersion = await this.#watch(scope, resourceVersion, signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (!isClusterError(error, "expired")) {
          failures++;
          this.#machine.log.warn("watching failed", { kind: this.kind, reason: messageOf(error), failures });
          const pauseMs = Math.min(maxPauseMs, minPauseMs * 2 ** Math.min(10, failures - 1));
          await sleep(this.#machine.clock, pauseMs * (0.5 + this.#machine.random()), signal);
        }
        resourceVersion = undefined;
      }
    }
  }

  async #list(scope: ListScope): Promise<string> {
    const { items, resourceVersion } = await this.#cluster.list(this.kind, scope, (object) => this.#kept(object));
    this.#relists++;
    const listed = new Set(items.map(keyOf));
    for (const [key, object] of this.#objects) {
      const within = scope.namespace === undefined || object.metadata.namespace === scope.namespace;
      if (within && !listed.has(key)) this.#remove(key, object);
    }
    for (const object of items) this.#put(object);
    this.#synced.add(scope);
    return resourceVersion;
  }

  // Undefined: list again. Otherwise the version to go on from.
  async #watch(scope: ListScope, from: string, signal: AbortSignal): Promise<string | undefined> {
    const { clock, log } = this.#machine;
    const limitMs = this.#options.inactivityMs ?? inactivityMs;
    const stop = new AbortController();
    const abort = (): void => stop.abort();
    signal.addEventListener("abort", abort);
    let latest: string | undefined = from;
    let lastMs = clock.now();
    let cancel: () => void = () => {};
    const look = (): void => {
      const leftMs = lastMs + limitMs - clock.now();
      if (leftMs > 0) {
        cancel = clock.after(leftMs, look);
        return;
      }
      log.warn("a watch fell silent; listing again", { kind: this.kind, silentMs: limitMs });
      latest = undefined;
      stop.abort();
    };
    look();
    try {
      const ended = new Promise<void>((resolve) => stop.signal.addEventListener("abort", () => resolve()));
      const sink = (event: WatchEvent<Kinds[K]>): void => {
        if (stop.signal.aborted) return;
        lastMs = clock.now();
        latest = this.#take(event) ?? latest;
      };
      // A watch that is dead may not even notice that it was aborted.
      await Promise.race([this.#cluster.watch(this.kind, { ...scope, resourceVersion: from }, sink, stop.signal), ended]);
      return latest;
    } finally {
      stop.abort();
      cancel();
      signal.removeEventListener("abort", abort);
    }
  }

  #take(event: WatchEvent<Kinds[K]>): string | undefined {
    if (event.type === "BOOKMARK") return event.resourceVersion;
    if (event.type === "DELETED") this.#remove(keyOf(event.object), event.object);
    else this.#put(this.#kept(event.object));
    return event.object.metadata.resourceVersion;
  }

  #kept(whole: Kinds[K]): Kinds[K] {
    return (this.#options.keep?.(whole) ?? whole) as Kinds[K];
  }

  #put(object: Kinds[K]): void {
    const key = keyOf(object);
    const previous = this.#objects.get(key);
    if (previous !== undefined && previous.metadata.resourceVersion === object.metadata.resourceVersion) return;
    this.#unindex(key, previous);
    this.#objects.set(key, object);
    const index = this.#options.index?.(object);
    if (index !== undefined) this.#byIndex.set(index, (this.#byIndex.get(index) ?? new Set()).add(key));
    for (const listener of this.#listeners) listener(object, previous);
  }

  #remove(key: string, object: Kinds[K]): void {
    this.#unindex(key, this.#objects.get(key));
    this.#objects.delete(key);
    for (const listener of this.#listeners) listener(object, object);
  }

  #unindex(key: string, object: Kinds[K] | undefined): void {
    const index = object === undefined ? undefined : this.#options.index?.(object);
    if (index === undefined) return;
    const keys = this.#byIndex.get(index);
    keys?.delete(key);
    if (keys?.size === 0) this.#byIndex.delete(index);
  }
}
