// Connects a slice to its peers: greets those that it sends to, and waits for those that send to it.
import { systemClock } from "../../../base/clock.ts";
import { isMillraceError, MillraceError } from "../../../base/errors.ts";
import type { Exchange } from "../../exchange/exchange.ts";
import { exchangeVersion, greet, type Hello } from "../../exchange/handshake.ts";
import type { Transport, Wire } from "../../exchange/wire/wire.ts";
import type { SlotAddress } from "../slot-protocol.ts";

export interface ConnectParts {
  readonly exchange: Exchange;
  readonly transport: Transport;
  readonly slots: readonly SlotAddress[];
  readonly hello: Omit<Hello, "version" | "to">;
  readonly timeoutMs: number;
  /** The deployment is over before it was connected. */
  readonly isOver: () => boolean;
}

const firstPauseMs = 20;
const mostPauseMs = 500;
const lookMs = 20;

/** Settles when all connections stand. Rejects with EXCHANGE_REFUSED or EXCHANGE_UNREACHABLE. */
export async function connectPeers(parts: ConnectParts): Promise<void> {
  const untilMs = performance.now() + parts.timeoutMs;
  await Promise.all(parts.exchange.receivers.map((slot) => connectPeer(parts, slot, untilMs)));
  // Those that send connect by themselves; their greeting is taken when it comes.
  while (!parts.exchange.isConnected && !parts.isOver()) {
    if (performance.now() > untilMs) {
      throw new MillraceError(
        "EXCHANGE_UNREACHABLE",
        `slots ${parts.exchange.unconnected.join(", ")}`,
        `they have not connected within ${parts.timeoutMs} ms`,
        "see whether they were deployed, and whether the network lets them through",
      );
    }
    await pause(lookMs);
  }
}

async function connectPeer(parts: ConnectParts, slot: number, untilMs: number): Promise<void> {
  const peer = parts.slots.find((one) => one.slot === slot);
  if (peer === undefined) throw new Error(`the deployment names no address of slot ${slot}`);
  for (let pauseMs = firstPauseMs; !parts.isOver(); pauseMs = Math.min(mostPauseMs, pauseMs * 2)) {
    let wire: Wire | undefined;
    try {
      wire = await parts.transport.dial(peer);
      const hello = { version: exchangeVersion, ...parts.hello, to: slot };
      const greeted = await greet(wire, hello, systemClock, Math.max(1, untilMs - performance.now()));
      if (parts.isOver()) greeted.close();
      else parts.exchange.connected(slot, greeted);
      return;
    } catch (error) {
      wire?.close();
      // A peer that is not up yet is met again; one that refuses knows better.
      if (!isMillraceError(error, "EXCHANGE_UNREACHABLE") || performance.now() + pauseMs > untilMs) throw error;
      await pause(pauseMs);
    }
  }
}

// By the machine's clock: the job's may be one that a test moves.
function pause(pauseMs: number): Promise<void> {
  return new Promise((resolve) => {
    systemClock.after(pauseMs, resolve);
  });
}
