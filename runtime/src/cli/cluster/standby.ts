// A run that stands by: its code is loaded and its pods are there; it starts when it is told what to restore, over REST or by its Lease.
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import type { LeaseStore } from "../../drivers/cluster/leadership/lease.ts";

export interface StartOrder {
  readonly run: number;
  readonly restore: { readonly sinceRun: number; readonly location?: string };
}

/** The order as the operator keeps it on the run's Lease: it outlives every process. */
const startAnnotation = "millrace.dev/start";
const lookMs = 1000;

export class Standby {
  /** Settles with the first order. */
  readonly ordered: Promise<StartOrder>;
  readonly #run: number;
  #order: StartOrder | undefined;
  #tell: (order: StartOrder) => void = () => {};

  constructor(run: number) {
    this.#run = run;
    this.ordered = new Promise((resolve) => {
      this.#tell = resolve;
    });
  }

  get isWaiting(): boolean {
    return this.#order === undefined;
  }

  /** The same order again is no error; one for another run is. */
  accept(order: StartOrder): void {
    if (order.run !== this.#run) {
      throw new MillraceError("RUN_OTHER", `run ${this.#run}`, `is told to start as run ${order.run}`, "send the order to that run's pods");
    }
    if (this.#order !== undefined) return;
    this.#order = order;
    this.#tell(order);
  }

  /** Looks at the Lease until an order has come; a Lease that cannot be read is looked at again. */
  async watch(lease: LeaseStore, log: Log, stopped: () => boolean): Promise<void> {
    while (this.isWaiting && !stopped()) {
      try {
        const text = await lease.note?.(startAnnotation);
        if (text !== undefined) this.accept(parseOrder(JSON.parse(text)));
      } catch (error) {
        log.warn("the order to start could not be read from the lease", { reason: messageOf(error) });
      }
      // An order over REST ends the wait at once.
      await Promise.race([this.ordered, new Promise((resolve) => setTimeout(resolve, lookMs))]);
    }
  }
}

/** Throws REQUEST_INVALID for what is no order. */
export function parseOrder(value: unknown): StartOrder {
  const { run, restore } = (typeof value === "object" && value !== null ? value : {}) as {
    readonly run?: unknown;
    readonly restore?: unknown;
  };
  const { sinceRun, location } = (typeof restore === "object" && restore !== null ? restore : {}) as {
    readonly sinceRun?: unknown;
    readonly location?: unknown;
  };
  if (!isRun(run) || !isRun(sinceRun) || (location !== undefined && typeof location !== "string")) {
    throw new MillraceError(
      "REQUEST_INVALID",
      "POST /v1/start",
      "the body is not { run, restore: { sinceRun, location } }",
      "give whole numbers, and the location as a URL or not at all",
    );
  }
  return { run, restore: { sinceRun, ...(location === undefined ? {} : { location }) } };
}

const isRun = (value: unknown): value is number => typeof value === "number" && Number.isInteger(value) && value >= 0;
