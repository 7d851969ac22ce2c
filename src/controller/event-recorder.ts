// Events for people: stable reasons, the same event counted and not repeated, never in the way of the work.
import { createHash } from "node:crypto";
import { isClusterError } from "../ports/cluster-error.ts";
import type { Cluster } from "../ports/cluster.ts";
import { typeOf } from "../ports/kind-table.ts";
import { type Machine, messageOf } from "../ports/machine.ts";
import type { KubeEvent, KubeObject } from "../ports/objects.ts";

export interface EventNote {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

interface Recorded {
  readonly name: string;
  count: number;
  readonly firstMs: number;
  writtenMs: number;
}

const rememberedEvents = 4096;
const waitingEvents = 256;
/** The same event is written again at most this often. */
const repeatMs = 60_000;
const maxMessage = 1000;

export class EventRecorder {
  readonly #cluster: Cluster;
  readonly #machine: Machine;
  readonly #instance: string;
  readonly #recorded = new Map<string, Recorded>();
  readonly #waiting: { readonly about: KubeObject; readonly note: EventNote }[] = [];
  #writing: Promise<void> | undefined;

  constructor(cluster: Cluster, machine: Machine, instance: string) {
    this.#cluster = cluster;
    this.#machine = machine;
    this.#instance = instance;
  }

  /** Returns at once; what cannot be written is logged and forgotten. */
  record(about: KubeObject, note: EventNote): void {
    if (this.#waiting.length >= waitingEvents) return;
    this.#waiting.push({ about, note });
    this.#writing ??= this.#drain();
  }

  /** Resolves when all that was recorded has been written or given up. */
  async flush(): Promise<void> {
    await this.#writing;
  }

  async #drain(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#write(next.about, next.note).catch((error: unknown) => {
        // A namespace that is being deleted takes no events.
        if (!isClusterError(error, "terminating", "forbidden"))
          this.#machine.log.warn("an event could not be written", { reason: messageOf(error), event: next?.note.reason });
      });
    }
    this.#writing = undefined;
  }

  async #write(about: KubeObject, note: EventNote): Promise<void> {
    const nowMs = this.#machine.clock.now();
    const key = `${about.metadata.uid ?? ""} ${note.reason} ${note.message}`;
    const before = this.#recorded.get(key);
    if (before !== undefined) {
      before.count++;
      if (nowMs - before.writtenMs < repeatMs) return;
      before.writtenMs = nowMs;
      await this.#cluster.apply(this.#event(about, note, before, nowMs));
      return;
    }
    const digest = createHash("sha256").update(`${key} ${nowMs}`).digest("hex").slice(0, 16);
    const recorded: Recorded = { name: `${about.metadata.name.slice(0, 200)}.${digest}`, count: 1, firstMs: nowMs, writtenMs: nowMs };
    this.#recorded.set(key, recorded);
    if (this.#recorded.size > rememberedEvents) {
      const [oldest] = this.#recorded.keys();
      if (oldest !== undefined) this.#recorded.delete(oldest);
    }
    await this.#cluster.apply(this.#event(about, note, recorded, nowMs));
  }

  #event(about: KubeObject, note: EventNote, recorded: Recorded, nowMs: number): KubeEvent {
    const namespace = about.metadata.namespace ?? "default";
    return {
      ...typeOf("Event"),
      metadata: { name: recorded.name, namespace },
      involvedObject: {
        apiVersion: about.apiVersion,
        kind: about.kind,
        name: about.metadata.name,
        namespace,
        uid: about.metadata.uid ?? "",
      },
      type: note.type,
      reason: note.reason,
      message: note.message.slice(0, maxMessage),
      count: recorded.count,
      firstTimestamp: seconds(recorded.firstMs),
      lastTimestamp: seconds(nowMs),
      source: { component: "millrace-operator" },
      reportingComponent: "millrace-operator",
      reportingInstance: this.#instance,
    };
  }
}

const seconds = (atMs: number): string => new Date(atMs).toISOString().replace(/\.\d+Z$/, "Z");
