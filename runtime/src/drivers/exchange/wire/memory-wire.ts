// Wires within one thread, for tests: every delivery is a step that a scheduler picks, and faults happen when the test says so.
import { MillraceError } from "../../../base/errors.ts";
import type { SlotAddress } from "../../cluster/slot-protocol.ts";
import type { Incoming, Transport, Wire, WireListener } from "./wire.ts";

/** Runs deliveries; the order between wires is the scheduler's, within one direction of a wire it is that of sending. */
export interface Scheduler {
  schedule(step: () => void): void;
}

/** As soon as the caller has returned. */
export const promptScheduler: Scheduler = { schedule: (step) => queueMicrotask(step) };

class MemoryWire implements Wire {
  other!: MemoryWire;
  readonly #scheduler: Scheduler;
  readonly #arrived: ArrayBuffer[] = [];
  #listener: WireListener | undefined;
  #lost: string | undefined;
  #closed = false;
  /** Sent and not delivered. */
  readonly #underWay: ArrayBuffer[] = [];

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  listen(listener: WireListener): void {
    this.#listener = listener;
    for (const frame of this.#arrived.splice(0)) listener.frame(frame);
    if (this.#lost !== undefined && !this.#closed) listener.lost(this.#lost);
  }

  send(frame: ArrayBuffer): void {
    if (this.#closed || this.#lost !== undefined) return;
    // As on the other transports, the sender has no buffer left.
    this.#underWay.push(frame.transfer());
    this.#scheduler.schedule(() => {
      const next = this.#underWay.shift();
      if (next !== undefined) this.other.arrive(next);
    });
  }

  arrive(frame: ArrayBuffer): void {
    if (this.#closed || this.#lost !== undefined) return;
    if (this.#listener === undefined) this.#arrived.push(frame);
    else this.#listener.frame(frame);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#scheduler.schedule(() => this.other.lose("the other side closed the connection"));
  }

  lose(reason: string): void {
    if (this.#closed || this.#lost !== undefined) return;
    this.#lost = reason;
    this.#listener?.lost(reason);
  }
}

/** Two ends of one connection. */
export function memoryWirePair(
  scheduler: Scheduler = promptScheduler,
): readonly [Wire & { lose(reason: string): void }, Wire & { lose(reason: string): void }] {
  const [a, b] = [new MemoryWire(scheduler), new MemoryWire(scheduler)];
  a.other = b;
  b.other = a;
  return [a, b];
}

/** A network of slots in one thread. */
export class MemoryNetwork {
  readonly #scheduler: Scheduler;
  readonly #slots = new Map<number, Incoming>();
  readonly #wires: { readonly host: string; readonly ends: readonly { lose(reason: string): void }[] }[] = [];

  constructor(scheduler: Scheduler = promptScheduler) {
    this.#scheduler = scheduler;
  }

  /** A slot that listens at `port`. */
  listen(port: number, incoming: Incoming): void {
    this.#slots.set(port, incoming);
  }

  transport(): Transport {
    return {
      dial: async (peer: SlotAddress) => {
        const incoming = this.#slots.get(peer.port);
        if (incoming === undefined) {
          throw new MillraceError("EXCHANGE_UNREACHABLE", `slot ${peer.slot}`, "nobody listens there", "see whether its process runs");
        }
        const [mine, theirs] = memoryWirePair(this.#scheduler);
        this.#wires.push({ host: `${peer.port}`, ends: [mine, theirs] });
        incoming(theirs);
        return mine;
      },
    };
  }

  /** All connections to the slot at `port` are lost, on both sides. */
  cut(port: number): void {
    for (const { host, ends } of this.#wires) if (host === String(port)) for (const end of ends) end.lose("the test cut it");
  }
}
