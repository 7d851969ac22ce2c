// The loop of every kind of resource: observe, decide, write down, act, and again until there is nothing to do but wait.
import { isDeepStrictEqual } from "node:util";
import type { LastUpgrade } from "millrace/api";
import type { Reconciled } from "../controller/controller.ts";
import type { EventRecorder } from "../controller/event-recorder.ts";
import type { ControllerMetrics } from "../controller/metrics.ts";
import type { ObjectCache } from "../controller/object-cache.ts";
import type { OwnerKind } from "../controller/owner-labels.ts";
import { isClusterError } from "../ports/cluster-error.ts";
import type { Cluster, ObjectKey } from "../ports/cluster.ts";
import { isRefused, isUnreachable } from "../ports/job-client.ts";
import type { Machine } from "../ports/machine.ts";
import type { Kinds } from "../ports/objects.ts";
import { Built } from "./built.ts";
import type { AnyStep, Decision } from "./draft.ts";
import { cachedReader, liveReader, type Reader, steadyReader } from "./reader.ts";

export type StatusOf<K extends OwnerKind> = NonNullable<Kinds[K]["status"]>;

/** One look at a resource: from where, and what the steps before have met. */
export interface Look {
  /** What changes with every step: from the cluster itself when a step is about to be taken. */
  readonly live: Reader;
  /** What may be a moment old, because acting on it twice does no harm. */
  readonly cached: Reader;
  readonly nowMs: number;
  /** What came of the looks before, of the resource alone. */
  readonly built: Built;
  /** Ask pods also when nothing is in progress. */
  readonly ask: boolean;
  /** A pod said no to a step. */
  readonly refused: Refusal | undefined;
  /** Nothing can be made in the namespace any more. */
  readonly terminating: boolean;
}

export interface Refusal {
  readonly step: string;
  readonly reason: string;
}

/** What one kind of resource is, to the loop. */
export interface ResourceKind<K extends OwnerKind, O, T extends AnyStep> {
  readonly kind: K;
  /** Reads everything that a decision may rest on. */
  observe(resource: Kinds[K], look: Look): Promise<O>;
  /** A pure function. */
  decide(seen: O): Decision<StatusOf<K>, T>;
  /** Each step may be carried out twice. */
  carryOut(step: T, resource: Kinds[K], seen: O): Promise<void>;
  /** Steps to which pods may say no: the next decision knows that they did. */
  readonly refusable: ReadonlySet<T["kind"]>;
  /** Whoever was asked by this step needs a moment, ms. */
  readonly momentMs?: Partial<Record<T["kind"], number>>;
  /** It has pods that are asked now and then though nothing happens. */
  asksAtRest(resource: Kinds[K]): boolean;
}

export interface ReconcilerParts {
  readonly cluster: Cluster;
  readonly cache: ObjectCache;
  readonly machine: Machine;
  readonly events: EventRecorder;
  readonly metrics?: ControllerMetrics;
  /** How often the pods of a resource that nothing happens to are asked, give or take a fifth. */
  readonly restingMs?: number;
}

const defaultRestingMs = 60_000;
/** More steps than any resource needs at once; one that wants more lets others go first. */
const maxSteps = 40;
const restMs = 100;
/** A namespace that goes takes a while. */
const terminatingMs = 2_000;
/** Nobody heard, or nobody's answer came. */
const unreachableMs = 500;

/** Steps that make or change no pod: what was seen before them is still so. */
const papers: ReadonlySet<string> = new Set(["createToken", "createRevision"]);

interface Memory {
  readonly built: Built;
  /** When pods are asked next though nothing is in progress. */
  askMs: number;
}

export class ResourceReconciler<K extends OwnerKind, O, T extends AnyStep> {
  readonly #kind: ResourceKind<K, O, T>;
  readonly #parts: ReconcilerParts;
  readonly #cached: Reader;
  readonly #live: Reader;
  readonly #memory = new Map<string, Memory>();
  readonly #restingMs: number;

  constructor(kind: ResourceKind<K, O, T>, parts: ReconcilerParts) {
    this.#kind = kind;
    this.#parts = parts;
    this.#cached = cachedReader(parts.cache, kind.kind);
    this.#live = liveReader(parts.cluster, kind.kind);
    this.#restingMs = parts.restingMs ?? defaultRestingMs;
  }

  async reconcile(key: string, signal: AbortSignal): Promise<Reconciled> {
    const { cache, machine } = this.#parts;
    const [namespace = "", name = ""] = key.split("/");
    const cached = cache.get(this.#kind.kind, { namespace, name });
    if (cached === undefined) {
      this.#memory.delete(key);
      return {};
    }
    const memory = this.#memory.get(key) ?? { built: new Built(), askMs: 0 };
    this.#memory.set(key, memory);
    const ask = machine.clock.now() >= memory.askMs;
    if (ask) memory.askMs = machine.clock.now() + this.#restingMs * (0.8 + 0.4 * machine.random());
    // First from the copies: when there is nothing to do, the cluster is not asked anything.
    const glance = this.#kind.decide(
      await this.#observe(cached, this.#cached, { ask, built: memory.built, refused: undefined, terminating: false }),
    );
    if (isWait(glance) && isSame(glance, cached)) return this.#rest(glance, cached, memory);
    return this.#act({ namespace, name }, ask, memory, signal);
  }

  async #act(key: ObjectKey, ask: boolean, memory: Memory, signal: AbortSignal): Promise<Reconciled> {
    const { cluster } = this.#parts;
    const { kind, decide } = this.#kind;
    const momentMs: Partial<Record<string, number>> = this.#kind.momentMs ?? {};
    let resource = await cluster.get(kind, key);
    let met: Met = { refused: undefined, terminating: false };
    let live = steadyReader(this.#live);
    for (let steps = 0; resource !== undefined && steps < maxSteps && !signal.aborted; steps++) {
      const seen = await this.#observe(resource, live, { ask, built: memory.built, ...met });
      const decision = decide(seen);
      if (!isSame(decision, resource)) {
        // What is only written down changes no pod.
        resource = await this.#record(resource, decision);
        continue;
      }
      const { step } = decision;
      if (isWait(decision)) return this.#rest(decision, resource, memory);
      if (step.kind === "wait") {
        live = steadyReader(this.#live);
        continue;
      }
      const outcome = await this.#carryOut(step, resource, seen);
      for (const note of decision.events) this.#parts.events.record(resource, note);
      if (outcome.kind === "unreachable") return { requeueAfterMs: unreachableMs };
      if (outcome.kind === "refused") met = { ...met, refused: { step: step.kind, reason: outcome.reason } };
      if (outcome.kind === "terminating") {
        // A decision that knows it may find another way; when it has found none, time has to pass.
        if (met.terminating) return { requeueAfterMs: terminatingMs };
        met = { ...met, terminating: true };
      }
      const moment = momentMs[step.kind];
      if (moment !== undefined) return { requeueAfterMs: moment };
      if (papers.has(step.kind)) continue;
      live = steadyReader(this.#live);
      resource = await cluster.get(kind, key);
    }
    return { requeueAfterMs: restMs };
  }

  // What the next decision has to know; anything else that goes wrong is an error, and the resource comes again later and later.
  async #carryOut(step: T, resource: Kinds[K], seen: O): Promise<Outcome> {
    const { machine } = this.#parts;
    try {
      machine.log.debug("step", { kind: this.#kind.kind, name: nameOf(resource), step: step.kind });
      await this.#kind.carryOut(step, resource, seen);
      return { kind: "done" };
    } catch (error) {
      if (isRefused(error) && this.#kind.refusable.has(step.kind)) return { kind: "refused", reason: error.message };
      if (isClusterError(error, "terminating")) return { kind: "terminating" };
      // It may have heard: the next look says what became of it.
      if (isUnreachable(error)) return { kind: "unreachable" };
      throw error;
    }
  }

  async #record(resource: Kinds[K], decision: Decision<StatusOf<K>, T>): Promise<Kinds[K]> {
    const { cluster, cache, events, metrics, machine } = this.#parts;
    const before = upgradeOf(resource.status)?.id;
    const written = (await cluster.replaceStatus({ ...resource, status: decision.status } as Kinds[K])) as Kinds[K];
    cache.wrote(written);
    for (const { reason, message, type } of decision.events) {
      events.record(written, { reason, message, type });
      machine.log.info("resource", { kind: this.#kind.kind, name: nameOf(written), event: reason, detail: message });
    }
    const last = upgradeOf(decision.status);
    if (last !== undefined && last.id !== before) metrics?.upgraded(last.kind, last.result, last.gapMs);
    return written;
  }

  #rest({ againAfterMs }: Decision<StatusOf<K>, T>, resource: Kinds[K], memory: Memory): Reconciled {
    const leastMs = Math.min(1000, this.#restingMs);
    const leftMs = Math.max(leastMs, memory.askMs - this.#parts.machine.clock.now());
    const restingMs = this.#kind.asksAtRest(resource) ? leftMs : undefined;
    // Whoever looks closer asks closer.
    if (againAfterMs !== undefined && againAfterMs < this.#restingMs / 2) memory.askMs = 0;
    const requeueAfterMs = againAfterMs === undefined ? restingMs : Math.min(againAfterMs, restingMs ?? againAfterMs);
    return requeueAfterMs === undefined ? {} : { requeueAfterMs };
  }

  #observe(resource: Kinds[K], live: Reader, its: Met & Pick<Look, "ask" | "built">): Promise<O> {
    const nowMs = this.#parts.machine.clock.now();
    return this.#kind.observe(resource, { live, cached: this.#cached, nowMs, ...its });
  }
}

interface Met {
  readonly refused: Refusal | undefined;
  readonly terminating: boolean;
}

type Outcome = { readonly kind: "done" | "terminating" | "unreachable" } | { readonly kind: "refused"; readonly reason: string };

/** There is nothing to do until something changes. */
const isWait = ({ step, againAfterMs }: Decision<unknown, AnyStep>): boolean => step.kind === "wait" && againAfterMs !== 0;

const isSame = ({ status }: Decision<unknown, AnyStep>, resource: { readonly status?: unknown }): boolean =>
  isDeepStrictEqual(status, resource.status ?? {});

const upgradeOf = (status: object | undefined): LastUpgrade | undefined =>
  (status as { readonly lastUpgrade?: LastUpgrade } | undefined)?.lastUpgrade;

const nameOf = ({ metadata }: Kinds[OwnerKind]): string => `${metadata.namespace ?? ""}/${metadata.name}`;
