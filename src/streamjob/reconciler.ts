// The loop of a StreamJob: observe, decide, write down, act, and again until there is nothing to do but wait.
import { isDeepStrictEqual } from "node:util";
import type { Reconciled } from "../controller/controller.ts";
import type { EventRecorder } from "../controller/event-recorder.ts";
import type { ControllerMetrics } from "../controller/metrics.ts";
import { isClusterError } from "../ports/cluster-error.ts";
import { isRefused } from "../ports/job-client.ts";
import type { StreamJob } from "../ports/objects.ts";
import { type ActParts, carryOut } from "./act.ts";
import { decide, restingMs } from "./decide.ts";
import { observe } from "./observe.ts";
import type { Observed } from "./observed.ts";
import { cachedReader, liveReader, type Reader, steadyReader } from "./reader.ts";
import type { Decision } from "./step.ts";

export interface StreamJobParts extends ActParts {
  readonly events: EventRecorder;
  readonly defaultImage: string | undefined;
  readonly metrics?: ControllerMetrics;
  /** How often a job that nothing happens to is asked, give or take a fifth. */
  readonly restingMs?: number;
}

/** More steps than any job needs at once; a job that wants more lets others go first. */
const maxSteps = 40;

interface Memory {
  /** When the job itself is asked next though nothing is in progress. */
  askMs: number;
}

export class StreamJobReconciler {
  readonly #parts: StreamJobParts;
  readonly #cached: Reader;
  readonly #live: Reader;
  readonly #memory = new Map<string, Memory>();
  readonly #restingMs: number;

  constructor(parts: StreamJobParts) {
    this.#parts = parts;
    this.#cached = cachedReader(parts.cache);
    this.#live = liveReader(parts.cluster);
    this.#restingMs = parts.restingMs ?? restingMs;
  }

  async reconcile(key: string, signal: AbortSignal): Promise<Reconciled> {
    const { cache, machine } = this.#parts;
    const [namespace = "", name = ""] = key.split("/");
    const cached = cache.get("StreamJob", { namespace, name });
    if (cached === undefined) {
      this.#memory.delete(key);
      return {};
    }
    const memory = this.#memory.get(key) ?? { askMs: 0 };
    this.#memory.set(key, memory);
    const ask = machine.clock.now() >= memory.askMs;
    if (ask) memory.askMs = machine.clock.now() + this.#restingMs * (0.8 + 0.4 * machine.random());
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
    const { cluster, machine } = this.#parts;
    let job = await cluster.get("StreamJob", key);
    let refused: Observed["refused"];
    let terminating = false;
    let live = steadyReader(this.#live);
    for (let steps = 0; job !== undefined && steps < maxSteps && !signal.aborted; steps++) {
      const seen = await this.#observe(job, { live, ask, refused, terminating });
      const decision = decide(seen);
      if (!isDeepStrictEqual(decision.status, job.status ?? {})) {
        job = await this.#record(job, decision);
        continue;
      }
      // What is only written down changes no pod; what follows may.
      live = steadyReader(this.#live);
      if (decision.step.kind === "wait") {
        if (decision.againAfterMs === 0) continue;
        return this.#rest(decision, job, memory);
      }
      try {
        machine.log.debug("step", { job: `${key.namespace}/${key.name}`, step: decision.step.kind });
        await carryOut(decision.step, job, seen.pods, this.#parts);
      } catch (error) {
        if (isRefused(error) && (decision.step.kind === "startSavepoint" || decision.step.kind === "rescale"))
          refused = { step: decision.step.kind, reason: error.message };
        else if (isClusterError(error, "terminating")) terminating = true;
        else throw error;
      }
      for (const note of decision.events) this.#parts.events.record(job, note);
      job = await cluster.get("StreamJob", key);
    }
    return { requeueAfterMs: 100 };
  }

  async #record(job: StreamJob, decision: Decision): Promise<StreamJob> {
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

  #rest(decision: Decision, job: StreamJob, memory: Memory): Reconciled {
    const { machine } = this.#parts;
    const active = job.status?.active;
    const resting =
      active === undefined || active.phase === "finished"
        ? undefined
        : Math.max(Math.min(1000, this.#restingMs), memory.askMs - machine.clock.now());
    const again = decision.againAfterMs;
    // Whoever looks closer asks closer.
    if (again !== undefined && again < this.#restingMs / 2) memory.askMs = 0;
    const requeueAfterMs = again === undefined ? resting : resting === undefined ? again : Math.min(again, resting);
    return requeueAfterMs === undefined ? {} : { requeueAfterMs };
  }

  #observe(job: StreamJob, how: { live: Reader; ask: boolean; refused?: Observed["refused"]; terminating?: boolean }): Promise<Observed> {
    const { client, machine, defaultImage } = this.#parts;
    return observe(job, {
      live: how.live,
      cached: this.#cached,
      client,
      nowMs: machine.clock.now(),
      defaultImage,
      ask: how.ask,
      refused: how.refused,
      terminating: how.terminating ?? false,
    });
  }
}

const isNothing = (decision: Decision, job: StreamJob): boolean =>
  decision.step.kind === "wait" && decision.againAfterMs !== 0 && isDeepStrictEqual(decision.status, job.status ?? {});
