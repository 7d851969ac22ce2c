// The loop of a MicroBatchJob: observe, decide, write down, act, and again until there is nothing to do but wait.
import { isDeepStrictEqual } from "node:util";
import type { Reconciled } from "../controller/controller.ts";
import type { EventRecorder } from "../controller/event-recorder.ts";
import type { ControllerMetrics } from "../controller/metrics.ts";
import { isClusterError } from "../ports/cluster-error.ts";
import { isRefused, isUnreachable } from "../ports/job-client.ts";
import type { MicroBatchJob } from "../ports/objects.ts";
import { ownedReader, liveOwnedReader, type Reader } from "../streamjob/reader.ts";
import { type BatchActParts, carryOut } from "./act.ts";
import { decide } from "./decide.ts";
import { observe } from "./observe.ts";
import type { BatchObserved } from "./observed.ts";
import type { BatchDecision } from "./step.ts";

export interface MicroBatchParts extends BatchActParts {
  readonly events: EventRecorder;
  readonly defaultImage: string | undefined;
  readonly metrics?: ControllerMetrics;
}

/** More steps than any job needs at once; a job that wants more lets others go first. */
const maxSteps = 40;
/** A job that nothing happens to is looked at so often, give or take a fifth. */
const restingMs = 60_000;

interface Memory {
  /** When the driver is asked next though nothing is in progress. */
  askMs: number;
}

export class MicroBatchReconciler {
  readonly #parts: MicroBatchParts;
  readonly #cached: Reader;
  readonly #live: Reader;
  readonly #memory = new Map<string, Memory>();

  constructor(parts: MicroBatchParts) {
    this.#parts = parts;
    this.#cached = ownedReader(parts.cache, "MicroBatchJob");
    this.#live = liveOwnedReader(parts.cluster, "MicroBatchJob");
  }

  async reconcile(key: string, signal: AbortSignal): Promise<Reconciled> {
    const { cache, machine } = this.#parts;
    const [namespace = "", name = ""] = key.split("/");
    const cached = cache.get("MicroBatchJob", { namespace, name });
    if (cached === undefined) {
      this.#memory.delete(key);
      return {};
    }
    const memory = this.#memory.get(key) ?? { askMs: 0 };
    this.#memory.set(key, memory);
    const ask = machine.clock.now() >= memory.askMs;
    if (ask) memory.askMs = machine.clock.now() + restingMs * (0.8 + 0.4 * machine.random());
    // First from the copies: when there is nothing to do, the cluster is not asked anything.
    const glance = decide(await this.#observe(cached, { live: this.#cached, ask }));
    if (isNothing(glance, cached)) return this.#rest(glance, cached, memory);
    return this.#act({ namespace, name }, ask, memory, signal);
  }

  async #act(
    key: { readonly namespace: string; readonly name: string },
    ask: boolean,
    memory: Memory,
    signal: AbortSignal,
  ): Promise<Reconciled> {
    const { cluster, machine, events } = this.#parts;
    let job = await cluster.get("MicroBatchJob", key);
    let refused: string | undefined;
    let terminating = false;
    for (let steps = 0; job !== undefined && steps < maxSteps && !signal.aborted; steps++) {
      const seen = await this.#observe(job, { live: this.#live, ask, refused, terminating });
      const decision = decide(seen);
      if (!isDeepStrictEqual(decision.status, job.status ?? {})) {
        job = await this.#record(job, decision);
        continue;
      }
      if (decision.step.kind === "wait") {
        if (decision.againAfterMs === 0) continue;
        return this.#rest(decision, job, memory);
      }
      try {
        machine.log.debug("step", { job: `${key.namespace}/${key.name}`, step: decision.step.kind });
        await carryOut(decision.step, job, seen.pods, this.#parts);
      } catch (error) {
        if (isRefused(error)) refused = error.message;
        else if (isClusterError(error, "terminating")) terminating = true;
        // It may have heard: the next look says what became of it.
        else if (!isUnreachable(error)) throw error;
      }
      for (const note of decision.events) events.record(job, note);
      if (terminating) return { requeueAfterMs: 2_000 };
      // Whoever was asked to end needs a moment.
      if (decision.step.kind === "stop" || decision.step.kind === "stopWithSavepoint") return { requeueAfterMs: 100 };
      job = await cluster.get("MicroBatchJob", key);
    }
    return { requeueAfterMs: 100 };
  }

  async #record(job: MicroBatchJob, decision: BatchDecision): Promise<MicroBatchJob> {
    const { cluster, cache, events, metrics, machine } = this.#parts;
    const before = job.status?.lastUpgrade?.id;
    const written = await cluster.replaceStatus({ ...job, status: decision.status });
    cache.wrote(written);
    for (const note of decision.events) {
      events.record(written, note);
      machine.log.info("job", {
        job: `${written.metadata.namespace ?? ""}/${written.metadata.name}`,
        event: note.reason,
        detail: note.message,
      });
    }
    const { lastUpgrade } = decision.status;
    if (lastUpgrade !== undefined && lastUpgrade.id !== before) metrics?.upgraded(lastUpgrade.kind, lastUpgrade.result, lastUpgrade.gapMs);
    return written;
  }

  #rest(decision: BatchDecision, job: MicroBatchJob, memory: Memory): Reconciled {
    const { machine } = this.#parts;
    const resting = job.status?.active === undefined ? undefined : Math.max(1000, memory.askMs - machine.clock.now());
    const again = decision.againAfterMs;
    // Whoever looks closer asks closer.
    if (again !== undefined && again < restingMs / 2) memory.askMs = 0;
    const requeueAfterMs = again === undefined ? resting : resting === undefined ? again : Math.min(again, resting);
    return requeueAfterMs === undefined ? {} : { requeueAfterMs };
  }

  #observe(
    job: MicroBatchJob,
    how: { live: Reader; ask: boolean; refused?: string | undefined; terminating?: boolean },
  ): Promise<BatchObserved> {
    const { driver, machine, defaultImage } = this.#parts;
    return observe(job, {
      live: how.live,
      cached: this.#cached,
      client: driver,
      nowMs: machine.clock.now(),
      defaultImage,
      ask: how.ask,
      refused: how.refused,
      terminating: how.terminating ?? false,
    });
  }
}

const isNothing = (decision: BatchDecision, job: MicroBatchJob): boolean =>
  decision.step.kind === "wait" && decision.againAfterMs !== 0 && isDeepStrictEqual(decision.status, job.status ?? {});
