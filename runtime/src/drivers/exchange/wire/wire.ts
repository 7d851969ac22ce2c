// The port between slots: a connection that carries frames both ways, in order, until it is lost.
import type { SlotAddress } from "../../cluster/slot-protocol.ts";

export interface WireListener {
  /** A frame has come; its buffer is the listener's. */
  frame(frame: ArrayBuffer): void;
  /** Nothing more will come, and what was sent last may not have arrived. Not called after `close`. */
  lost(reason: string): void;
}

/** Frames that come before there is a listener wait for it. */
export interface Wire {
  listen(listener: WireListener): void;
  /** Takes the frame over: its buffer must not be used afterwards. Never waits: how much is under way is the sender's to limit. */
  send(frame: ArrayBuffer): void;
  /** Ends the connection; the other side hears of a loss. What was sent before still arrives where that is possible. */
  close(): void;
}

/** Makes connections to other slots, and takes theirs. */
export interface Transport {
  /** Rejects with EXCHANGE_UNREACHABLE. */
  dial(peer: SlotAddress): Promise<Wire>;
}

/** What a transport does with a connection that another slot has made. */
export type Incoming = (wire: Wire) => void;
