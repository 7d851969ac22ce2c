// The informers' copies, with what this process has written laid over them until they have caught up: one reads one's own writes.
import type { Cluster, ListScope, ObjectKey } from "../ports/cluster.ts";
import type { Machine } from "../ports/machine.ts";
import type { AnyObject, Kind, Kinds } from "../ports/objects.ts";
import { Informer, keyOf } from "./informer.ts";
import { indexOf, indexOfOwner, type OwnerKind } from "./owner-labels.ts";

export interface CachedKind {
  readonly kind: Kind;
  readonly scopes: readonly ListScope[];
  /** Leaves out what nobody reads, so that thousands of objects take little memory. */
  readonly keep?: (object: AnyObject) => AnyObject;
}

interface Written {
  readonly object: AnyObject;
  readonly untilMs: number;
}

const overlayMs = 30_000;

export class ObjectCache {
  readonly #informers = new Map<Kind, Informer<Kind>>();
  /** By kind and job, then by the object's key. */
  readonly #written = new Map<string, Map<string, Written>>();
  /** By uid: objects that this process has deleted, until their informer has heard of it. */
  readonly #deleted = new Map<string, number>();
  readonly #machine: Machine;

  constructor(cluster: Cluster, machine: Machine, kinds: readonly CachedKind[], inactivityMs?: number) {
    this.#machine = machine;
    for (const { kind, scopes, keep } of kinds) {
      const informer = new Informer(kind, cluster, machine, {
        scopes,
        index: indexOf,
        ...(keep === undefined ? {} : { keep }),
        ...(inactivityMs === undefined ? {} : { inactivityMs }),
      });
      // What somebody deleted must be missed, also if we have only just written it.
      informer.onChange((object, previous) => {
        if (object === previous) this.#forget(kind, object);
      });
      this.#informers.set(kind, informer);
    }
  }

  informer<K extends Kind>(kind: K): Informer<K> {
    const informer = this.#informers.get(kind);
    if (informer === undefined) throw new Error(`${kind} is not cached`);
    return informer as unknown as Informer<K>;
  }

  get informers(): readonly Informer<Kind>[] {
    return [...this.#informers.values()];
  }

  get synced(): boolean {
    return this.informers.every(({ synced }) => synced);
  }

  /** Runs all informers until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    await Promise.all(this.informers.map((informer) => informer.run(signal)));
  }

  /** The cluster has answered a write with this. */
  wrote(object: AnyObject): void {
    const job = indexOf(object);
    if (job === undefined || !this.#informers.has(object.kind as Kind)) return;
    const key = `${object.kind} ${job}`;
    const written = this.#written.get(key) ?? new Map<string, Written>();
    written.set(keyOf(object), { object, untilMs: this.#machine.clock.now() + overlayMs });
    this.#written.set(key, written);
  }

  /** The cluster has agreed to delete it. */
  deleted(uid: string): void {
    const nowMs = this.#machine.clock.now();
    if (this.#deleted.size > 10_000) for (const [old, untilMs] of this.#deleted) if (untilMs < nowMs) this.#deleted.delete(old);
    this.#deleted.set(uid, nowMs + overlayMs);
  }

  get<K extends Kind>(kind: K, { namespace, name }: ObjectKey): Kinds[K] | undefined {
    return this.informer(kind).get(`${namespace}/${name}`);
  }

  /** The objects of a StreamJob. */
  ofJob<K extends Kind>(kind: K, key: ObjectKey): readonly Kinds[K][] {
    return this.ofOwner(kind, "StreamJob", key);
  }

  /** The objects that carry the owner's label. */
  ofOwner<K extends Kind>(kind: K, owner: OwnerKind, its: ObjectKey): readonly Kinds[K][] {
    const job = indexOfOwner(owner, its);
    const nowMs = this.#machine.clock.now();
    const cached = this.informer(kind)
      .find(job)
      .filter(({ metadata }) => this.#deleted.size === 0 || (this.#deleted.get(metadata.uid ?? "") ?? 0) < nowMs);
    const written = this.#written.get(`${kind} ${job}`);
    if (written === undefined) return cached;
    const all = new Map(cached.map((object) => [keyOf(object), object as AnyObject]));
    for (const [key, { object, untilMs }] of written) {
      const before = all.get(key);
      // Versions of one object rise.
      if (
        untilMs < nowMs ||
        (this.#deleted.get(object.metadata.uid ?? "") ?? 0) >= nowMs ||
        (before !== undefined && version(before) >= version(object))
      )
        written.delete(key);
      else all.set(key, object);
    }
    if (written.size === 0) this.#written.delete(`${kind} ${job}`);
    return [...all.values()] as unknown as readonly Kinds[K][];
  }

  #forget(kind: Kind, object: AnyObject): void {
    this.#deleted.delete(object.metadata.uid ?? "");
    const job = indexOf(object);
    if (job !== undefined) this.#written.get(`${kind} ${job}`)?.delete(keyOf(object));
  }
}

const version = ({ metadata }: AnyObject): number => Number(metadata.resourceVersion ?? 0);
