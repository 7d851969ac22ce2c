// The loop of an EmbeddedStreamApp: observe, decide, write down, act, and again until there is nothing to do but wait.
import { isDeepStrictEqual } from "node:util";
import type { Reconciled } from "../controller/controller.ts";
import type { EventRecorder } from "../controller/event-recorder.ts";
import type { ControllerMetrics } from "../controller/metrics.ts";
import type { AppClient, TopicClient } from "../ports/app-client.ts";
import { isClusterError } from "../ports/cluster-error.ts";
import type { EmbeddedStreamApp } from "../ports/objects.ts";
import { liveOwnedReader, ownedReader, type Reader } from "../streamjob/reader.ts";
import { type AppActParts, carryOut } from "./act.ts";
import { type AppDecision, decide } from "./decide.ts";
import { observe } from "./observe.ts";
import type { AppObserved } from "./observed.ts";

export interface EmbeddedParts extends AppActParts {
  readonly events: EventRecorder;
  readonly app: AppClient;
  readonly topics: TopicClient;
  readonly metrics?: ControllerMetrics;
}

/** More steps than any app needs at once; one that wants more lets others go first. */
const maxSteps = 40;
/** An app that nothing happens to is looked at so often, give or take a fifth. */
const restingMs = 60_000;

export class EmbeddedReconciler {
  readonly #parts: EmbeddedParts;
  readonly #cached: Reader;
  readonly #live: Reader;
  /** When pods and topics are asked next though nothing is in progress, by app. */
  readonly #askMs = new Map<string, number>();

  constructor(parts: EmbeddedParts) {
    this.#parts = parts;
    this.#cached = ownedReader(parts.cache, "EmbeddedStreamApp");
    this.#live = liveOwnedReader(parts.cluster, "EmbeddedStreamApp");
  }

  async reconcile(key: string, signal: AbortSignal): Promise<Reconciled> {
    const { cache, cluster, machine, events } = this.#parts;
    const [namespace = "", name = ""] = key.split("/");
    if (cache.get("EmbeddedStreamApp", { namespace, name }) === undefined) {
      this.#askMs.delete(key);
      return {};
    }
    const ask = machine.clock.now() >= (this.#askMs.get(key) ?? 0);
    if (ask) this.#askMs.set(key, machine.clock.now() + restingMs * (0.8 + 0.4 * machine.random()));
    const cached = cache.get("EmbeddedStreamApp", { namespace, name });
    if (cached !== undefined && !ask) {
      // From the copies: when there is nothing to do, the cluster is not asked anything.
      const glance = decide(await this.#observe(cached, this.#cached, false));
      if (glance.step.kind === "wait" && glance.againAfterMs !== 0 && isDeepStrictEqual(glance.status, cached.status ?? {}))
        return this.#rest(key, glance);
    }
    let app = await cluster.get("EmbeddedStreamApp", { namespace, name });
    for (let steps = 0; app !== undefined && steps < maxSteps && !signal.aborted; steps++) {
      const decision = decide(await this.#observe(app, this.#live, ask));
      if (!isDeepStrictEqual(decision.status, app.status ?? {})) {
        app = await this.#record(app, decision);
        continue;
      }
      if (decision.step.kind === "wait") {
        if (decision.againAfterMs === 0) continue;
        return this.#rest(key, decision);
      }
      try {
        await carryOut(decision.step, app, this.#parts);
      } catch (error) {
        if (!isClusterError(error, "terminating")) throw error;
        return { requeueAfterMs: 2_000 };
      }
      for (const note of decision.events) events.record(app, note);
      app = await cluster.get("EmbeddedStreamApp", { namespace, name });
    }
    return { requeueAfterMs: 100 };
  }

  async #record(app: EmbeddedStreamApp, decision: AppDecision): Promise<EmbeddedStreamApp> {
    const { cluster, cache, events, metrics, machine } = this.#parts;
    const before = app.status?.lastUpgrade?.id;
    const written = await cluster.replaceStatus({ ...app, status: decision.status });
    cache.wrote(written);
    for (const note of decision.events) {
      events.record(written, note);
      machine.log.info("app", {
        app: `${written.metadata.namespace ?? ""}/${written.metadata.name}`,
        event: note.reason,
        detail: note.message,
      });
    }
    const { lastUpgrade } = decision.status;
    if (lastUpgrade !== undefined && lastUpgrade.id !== before) metrics?.upgraded(lastUpgrade.kind, lastUpgrade.result, lastUpgrade.gapMs);
    return written;
  }

  #rest(key: string, { againAfterMs }: AppDecision): Reconciled {
    const { clock } = this.#parts.machine;
    // Whoever looks closer asks closer.
    if (againAfterMs !== undefined && againAfterMs < restingMs / 2) this.#askMs.set(key, 0);
    const resting = Math.max(1_000, (this.#askMs.get(key) ?? 0) - clock.now());
    return { requeueAfterMs: againAfterMs === undefined ? resting : Math.min(againAfterMs, Math.max(resting, againAfterMs)) };
  }

  #observe(app: EmbeddedStreamApp, live: Reader, ask: boolean): Promise<AppObserved> {
    const { app: client, topics, machine, cluster } = this.#parts;
    return observe(app, {
      live,
      cached: this.#cached,
      secret: (key) => cluster.get("Secret", key),
      client,
      topics,
      nowMs: machine.clock.now(),
      ask,
    });
  }
}
