// Who may exchange rows with whom: the greeting of a connection, and its answer.
import type { Clock } from "../../base/clock.ts";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { SliceId } from "../cluster/slot-protocol.ts";
import { decodeMessage, encodeMessage } from "./frame/control.ts";
import { frameKindOf } from "./frame/frame-reader.ts";
import { frameKind } from "./frame/layout.ts";
import type { Wire } from "./wire/wire.ts";

/** Rises when the frame format changes: two versions never exchange rows. */
export const exchangeVersion = 1;

/** What the sending side says of itself. */
export interface Hello {
  readonly version: number;
  readonly job: string;
  readonly planFingerprint: string;
  readonly region: string;
  readonly attempt: number;
  /** Of the leader that deployed it. */
  readonly epoch: number;
  readonly from: number;
  readonly to: number;
}

/** Greets the other side; settles when it has accepted. Rejects with EXCHANGE_REFUSED or EXCHANGE_UNREACHABLE. */
export function greet(wire: Wire, hello: Hello, clock: Clock, timeoutMs: number): Promise<Wire> {
  const subject = `slot ${hello.to}`;
  return new Promise((resolve, reject) => {
    const late: { taken?: ReturnType<typeof handOver> } = {};
    const fail = (code: string, problem: string, next: string): void => {
      cancel();
      wire.close();
      reject(new MillraceError(code, subject, problem, next));
    };
    const cancel = clock.after(timeoutMs, () =>
      fail("EXCHANGE_UNREACHABLE", `no answer within ${timeoutMs} ms`, "see whether the slot is deployed"),
    );
    late.taken = handOver(wire, {
      frame(frame) {
        try {
          const kind = frameKindOf(frame);
          if (kind === frameKind.welcome) {
            cancel();
            resolve(late.taken?.rest() ?? wire);
          } else fail("EXCHANGE_REFUSED", String(decodeMessage(frame)["reason"]), "wait for the leader to deploy it again");
        } catch (error) {
          fail("EXCHANGE_REFUSED", messageOf(error), "see whether the two processes run the same version");
        }
      },
      lost: (reason) => fail("EXCHANGE_UNREACHABLE", reason, "see whether its process runs"),
    });
    wire.send(encodeMessage(frameKind.hello, hello));
  });
}

/** How long a refused connection may take to go away by itself, ms. */
const closeMs = 1000;

interface Parked {
  readonly hello: Hello;
  readonly accept: () => Wire;
  readonly refuse: (reason: string) => void;
  readonly cancel: () => void;
}

/** What a deployment expects of its peers. */
export interface Expected {
  readonly slice: SliceId;
  readonly epoch: number;
  readonly planFingerprint: string;
}

/**
 * A slot's doorman: takes connections of the deployments that the slot knows. One that comes before its deployment does waits for
 * it; one of an older deployment is refused.
 */
export class Reception {
  readonly #job: string;
  readonly #clock: Clock;
  readonly #parkMs: number;
  readonly #expected = new Map<string, { readonly about: Expected; readonly take: (from: number, wire: Wire) => void }>();
  readonly #parked = new Set<Parked>();

  constructor(job: string, clock: Clock, parkMs = 10_000) {
    this.#job = job;
    this.#clock = clock;
    this.#parkMs = parkMs;
  }

  /** A connection that another slot has made. */
  incoming(wire: Wire): void {
    const taken = handOver(wire, {
      frame: (frame) => {
        const refuse = (reason: string): void => {
          wire.send(encodeMessage(frameKind.refused, { reason }));
          // The other side closes when it has read this; a port that is closed at once may lose it.
          this.#clock.after(closeMs, () => wire.close());
        };
        try {
          if (frameKindOf(frame) !== frameKind.hello) return refuse("a connection begins with a greeting");
          this.#greeted(decodeMessage(frame) as unknown as Hello, refuse, () => {
            wire.send(encodeMessage(frameKind.welcome, {}));
            return taken.rest();
          });
        } catch (error) {
          refuse(messageOf(error));
        }
      },
      lost() {},
    });
  }

  /** From now on connections of this deployment are handed to `take`; those of earlier ones of its region are refused. */
  expect(about: Expected, take: (from: number, wire: Wire) => void): void {
    this.#expected.set(about.slice.region, { about, take });
    for (const parked of [...this.#parked]) {
      if (parked.hello.region !== about.slice.region) continue;
      this.#parked.delete(parked);
      parked.cancel();
      this.#greeted(parked.hello, parked.refuse, parked.accept);
    }
  }

  /** The deployment is over: nobody is let in any more. */
  forget(slice: SliceId): void {
    if (this.#expected.get(slice.region)?.about.slice.attempt === slice.attempt) this.#expected.delete(slice.region);
  }

  #greeted(hello: Hello, refuse: (reason: string) => void, accept: () => Wire): void {
    const problem = this.#problemWith(hello);
    if (problem === "early") {
      const parked: Parked = {
        hello,
        refuse,
        accept,
        cancel: this.#clock.after(this.#parkMs, () => {
          this.#parked.delete(parked);
          refuse(`attempt ${hello.attempt} of region ${hello.region} is not deployed here`);
        }),
      };
      this.#parked.add(parked);
    } else if (problem !== undefined) refuse(problem);
    else this.#expected.get(hello.region)?.take(hello.from, accept());
  }

  #problemWith(hello: Hello): string | undefined {
    if (hello.version !== exchangeVersion) return `the other side speaks version ${hello.version}, this one ${exchangeVersion}`;
    if (hello.job !== this.#job) return `this is job ${this.#job}, not ${hello.job}`;
    const about = this.#expected.get(hello.region)?.about;
    if (about === undefined || hello.attempt > about.slice.attempt) return "early";
    if (hello.attempt < about.slice.attempt) return `attempt ${hello.attempt} is over, this is attempt ${about.slice.attempt}`;
    if (hello.epoch !== about.epoch) return `the deployment is of epoch ${about.epoch}, not ${hello.epoch}`;
    if (hello.to !== about.slice.slot) return `this is slot ${about.slice.slot}, not ${hello.to}`;
    if (hello.planFingerprint !== about.planFingerprint) return "the other side runs another version of the job";
    return undefined;
  }
}

// Gives the first frame to one listener and, as a wire again, the rest to whoever listens then.
function handOver(wire: Wire, first: { frame(frame: ArrayBuffer): void; lost(reason: string): void }): { rest(): Wire } {
  let listener: Parameters<Wire["listen"]>[0] | undefined;
  let seen = false;
  let over = false;
  let lost: string | undefined;
  const early: ArrayBuffer[] = [];
  wire.listen({
    frame(frame) {
      if (listener !== undefined) listener.frame(frame);
      else if (seen) early.push(frame);
      else {
        seen = true;
        first.frame(frame);
      }
    },
    lost(reason) {
      lost = reason;
      if (listener !== undefined) listener.lost(reason);
      else if (!over) first.lost(reason);
    },
  });
  return {
    rest: () => {
      over = true;
      return {
        listen(next) {
          listener = next;
          for (const frame of early.splice(0)) next.frame(frame);
          if (lost !== undefined) next.lost(lost);
        },
        send: (frame) => wire.send(frame),
        close: () => wire.close(),
      };
    },
  };
}
