// The operator's own metrics, in Prometheus' format.
import { Counter, Gauge, Histogram, Registry } from "prom-client";

export interface QueueFigures {
  readonly name: string;
  readonly depth: number;
  readonly processing: number;
}

/** What is read at each scrape. */
export interface OperatorFigures {
  readonly queues: () => readonly QueueFigures[];
  readonly leading: () => boolean;
  readonly jobsByState: () => ReadonlyMap<string, number>;
  readonly relists: () => ReadonlyMap<string, number>;
}

const seconds = [0.001, 0.005, 0.02, 0.1, 0.5, 2, 10, 60];
const gapSeconds = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 300];

export class ControllerMetrics {
  readonly registry = new Registry();
  readonly #reconciles: Counter;
  readonly #durations: Histogram;
  readonly #requests: Counter;
  readonly #upgrades: Counter;
  readonly #gaps: Histogram;
  readonly #gauges: Gauge[] = [];

  constructor(controllers: readonly string[]) {
    const registers = [this.registry];
    this.#reconciles = new Counter({
      name: "millrace_operator_reconciles_total",
      help: "Reconciles by controller and result (success, error, conflict).",
      labelNames: ["controller", "result"],
      registers,
    });
    this.#durations = new Histogram({
      name: "millrace_operator_reconcile_seconds",
      help: "How long one reconcile took.",
      labelNames: ["controller"],
      buckets: seconds,
      registers,
    });
    this.#requests = new Counter({
      name: "millrace_operator_api_requests_total",
      help: "Requests to the API server by verb, kind and result.",
      labelNames: ["verb", "kind", "result"],
      registers,
    });
    this.#upgrades = new Counter({
      name: "millrace_operator_upgrades_total",
      help: "Ended replacements of a run by kind (deploy, upgrade, rollback, ...) and result.",
      labelNames: ["kind", "result"],
      registers,
    });
    this.#gaps = new Histogram({
      name: "millrace_operator_upgrade_gap_seconds",
      help: "How long nothing was processed during an upgrade.",
      buckets: gapSeconds,
      registers,
    });
    // Present from the start, so that a rate over them is right from the first event on.
    for (const controller of controllers)
      for (const result of ["success", "error", "conflict"]) this.#reconciles.inc({ controller, result }, 0);
  }

  reconciled(controller: string, result: "success" | "error" | "conflict", durationMs: number): void {
    this.#reconciles.inc({ controller, result });
    this.#durations.observe({ controller }, durationMs / 1000);
  }

  requested(verb: string, kind: string, result: string): void {
    this.#requests.inc({ verb, kind, result });
  }

  upgraded(kind: string, result: string, gapMs: number | undefined): void {
    this.#upgrades.inc({ kind, result });
    if (gapMs !== undefined) this.#gaps.observe(gapMs / 1000);
  }

  /** Gauges that are read when somebody looks. */
  watchFigures(figures: OperatorFigures): void {
    const registers = [this.registry];
    this.#gauges.push(
      new Gauge({
        name: "millrace_operator_queue_depth",
        help: "Keys that wait to be reconciled.",
        labelNames: ["controller"],
        registers,
        collect() {
          for (const { name, depth } of figures.queues()) this.set({ controller: name }, depth);
        },
      }),
      new Gauge({
        name: "millrace_operator_leader",
        help: "1 when this replica leads.",
        registers,
        collect() {
          this.set(figures.leading() ? 1 : 0);
        },
      }),
      new Gauge({
        name: "millrace_operator_jobs",
        help: "StreamJobs by state.",
        labelNames: ["state"],
        registers,
        collect() {
          this.reset();
          for (const [state, count] of figures.jobsByState()) this.set({ state }, count);
        },
      }),
      new Gauge({
        name: "millrace_operator_relists",
        help: "How often all objects of a kind were listed.",
        labelNames: ["kind"],
        registers,
        collect() {
          for (const [kind, count] of figures.relists()) this.set({ kind }, count);
        },
      }),
    );
  }
}
