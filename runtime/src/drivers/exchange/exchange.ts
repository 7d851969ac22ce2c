// A slice's connections to its peers: which channels go where, frames in and out, credit, and when what is gathered is sent.
import { MillraceError } from "../../base/errors.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { Receiver } from "../task/edge.ts";
import { decodeBarrier, decodeCredit, encodeCredit } from "./frame/control.ts";
import { defaultFrameLimits, type FrameLimits } from "./frame/frame-builder.ts";
import { type FrameReader, frameChannel, frameKindOf } from "./frame/frame-reader.ts";
import { frameCorrupt, frameKind } from "./frame/layout.ts";
import { InboundChannel } from "./inbound-channel.ts";
import { OutboundChannel } from "./outbound-channel.ts";
import type { Wire } from "./wire/wire.ts";

export interface ExchangeOptions {
  readonly limits: FrameLimits;
  /** Rows wait this long for others to fill their frame, ms. */
  readonly flushTimeoutMs: number;
  /** Bytes of rows that may be under way or wait at their receiver, over all channels into a slice. */
  readonly bufferBytes: number;
}

export const defaultExchange: ExchangeOptions = { limits: defaultFrameLimits, flushTimeoutMs: 5, bufferBytes: 32 * 1024 * 1024 };

const leastWindowBytes = 8 * 1024;
const leastFrameBytes = 4 * 1024;
const mostWindowBytes = 1024 * 1024;

/** The credit that each of `channels` channels into a slice begins with. */
export function windowBytes(options: ExchangeOptions, channels: number): number {
  const share = Math.floor(options.bufferBytes / Math.max(1, channels));
  // A test may ask for less than the least sensible window.
  return Math.min(Math.max(share, Math.min(leastWindowBytes, options.bufferBytes)), mostWindowBytes);
}

/**
 * How much each of `channels` channels out of a slice gathers before it sends: what is gathered is memory too, and two frames are to fit into
 * a window.
 */
export function frameLimits(options: ExchangeOptions, channels: number): FrameLimits {
  const { frameBytes, frameRows } = options.limits;
  return { frameBytes: Math.min(frameBytes, Math.max(leastFrameBytes, Math.floor(windowBytes(options, channels) / 2))), frameRows };
}

/** What the slice wants to hear. */
export interface ExchangeListener {
  /** A barrier has come, `ageMs` after its sources emitted it. */
  barrier(channel: InboundChannel, checkpointId: number, ageMs: number, drain: boolean): void;
  /** Rows have come; called before they wait in their channel. */
  rows(channel: InboundChannel, frame: ArrayBuffer): void;
  failed(error: unknown, lostSlot: number | undefined): void;
  wake(): void;
}

interface Peer {
  wireOut: Wire | undefined;
  wireIn: Wire | undefined;
  readonly outbound: Map<number, OutboundChannel>;
  readonly inbound: Map<number, InboundChannel>;
}

export class Exchange {
  readonly options: ExchangeOptions;
  readonly totals = { bytesIn: 0, bytesOut: 0 };
  readonly outbound: OutboundChannel[] = [];
  readonly inbound: InboundChannel[] = [];
  readonly #peers = new Map<number, Peer>();
  readonly #listener: ExchangeListener;
  #dirty: OutboundChannel[] = [];
  #dirtySinceMs = Infinity;
  #isOpened = false;
  #closed = false;

  constructor(options: ExchangeOptions, listener: ExchangeListener) {
    this.options = options;
    this.#listener = listener;
  }

  openOutbound(
    slot: number,
    about: { readonly id: number; readonly schema: Schema; readonly fields: readonly number[]; readonly limits: FrameLimits },
  ): OutboundChannel {
    const peer = this.#peer(slot);
    const channel = new OutboundChannel({
      ...about,
      send: (frame) => {
        this.totals.bytesOut += frame.byteLength;
        if (peer.wireOut === undefined) throw new Error(`rows for slot ${slot} before it is connected`);
        peer.wireOut.send(frame);
      },
      dirty: (which) => this.#note(which),
      wake: () => this.#listener.wake(),
    });
    peer.outbound.set(about.id, channel);
    this.outbound.push(channel);
    return channel;
  }

  openInbound(
    slot: number,
    about: {
      readonly id: number;
      readonly receiver: Receiver;
      readonly input: number;
      readonly gateChannel: number;
      readonly reader: FrameReader;
      readonly windowBytes: number;
    },
  ): InboundChannel {
    const peer = this.#peer(slot);
    const channel = new InboundChannel({ ...about, grant: (bytes) => peer.wireIn?.send(encodeCredit(about.id, bytes)) });
    peer.inbound.set(about.id, channel);
    this.inbound.push(channel);
    return channel;
  }

  #peer(slot: number): Peer {
    let peer = this.#peers.get(slot);
    if (peer === undefined) {
      peer = { wireOut: undefined, wireIn: undefined, outbound: new Map(), inbound: new Map() };
      this.#peers.set(slot, peer);
    }
    return peer;
  }

  /** The slots that this one sends to, and has to connect to. */
  get receivers(): readonly number[] {
    return [...this.#peers].filter(([, peer]) => peer.outbound.size > 0).map(([slot]) => slot);
  }

  /** True when every connection that the channels need is there. */
  get isConnected(): boolean {
    return this.unconnected.length === 0;
  }

  /** The slots to or from which a connection is missing. */
  get unconnected(): readonly number[] {
    return [...this.#peers]
      .filter(([, peer]) => (peer.outbound.size > 0 && peer.wireOut === undefined) || (peer.inbound.size > 0 && peer.wireIn === undefined))
      .map(([slot]) => slot);
  }

  /** All channels are there: what is sent to them from now on has a place. */
  opened(): void {
    this.#isOpened = true;
    for (const peer of this.#peers.values()) if (peer.wireIn !== undefined) this.#openChannels(peer);
  }

  // The first credit comes from the receiver, so that the two sides need not have the same memory.
  #openChannels(peer: Peer): void {
    for (const channel of peer.inbound.values()) channel.open();
  }

  /** The connection to a slot that this one sends to: credit comes back on it. */
  connected(slot: number, wire: Wire): void {
    const peer = this.#peer(slot);
    peer.wireOut = wire;
    wire.listen({
      frame: (frame) =>
        this.#guard(slot, () => {
          if (frameKindOf(frame) !== frameKind.credit) throw frameCorrupt("a receiver sends something else than credit");
          const channel = peer.outbound.get(frameChannel(frame));
          if (channel === undefined) throw frameCorrupt(`credit came for channel ${frameChannel(frame)}, which is none`);
          channel.grant(decodeCredit(frame));
        }),
      lost: (reason) => this.#lost(slot, reason),
    });
  }

  /** A connection from a slot that sends to this one. */
  accepted(slot: number, wire: Wire): void {
    const peer = this.#peer(slot);
    if (peer.wireIn !== undefined) return wire.close();
    peer.wireIn = wire;
    wire.listen({
      frame: (frame) => this.#guard(slot, () => this.#arrive(peer, frame)),
      lost: (reason) => this.#lost(slot, reason),
    });
    if (this.#isOpened) this.#openChannels(peer);
    this.#listener.wake();
  }

  #arrive(peer: Peer, frame: ArrayBuffer): void {
    const kind = frameKindOf(frame);
    const channel = peer.inbound.get(frameChannel(frame));
    if (channel === undefined) throw frameCorrupt(`a frame came for channel ${frameChannel(frame)}, which is none`);
    this.totals.bytesIn += frame.byteLength;
    if (kind === frameKind.barrier) {
      const { checkpointId, ageMs, drain } = decodeBarrier(frame);
      this.#listener.barrier(channel, checkpointId, ageMs, drain);
    } else if (kind === frameKind.rows) {
      this.#listener.rows(channel, frame);
      channel.push(frame);
    } else throw frameCorrupt(`a sender sends a frame of kind ${kind}`);
    this.#listener.wake();
  }

  #guard(slot: number, work: () => void): void {
    if (this.#closed) return;
    try {
      work();
    } catch (error) {
      this.#listener.failed(error, slot);
    }
  }

  #lost(slot: number, reason: string): void {
    if (this.#closed) return;
    this.#listener.failed(
      new MillraceError(
        "EXCHANGE_LOST",
        `slot ${slot}`,
        `the connection to it was lost: ${reason}`,
        "the job restarts; look at that slot's log for why it ended",
      ),
      slot,
    );
  }

  #note(channel: OutboundChannel): void {
    if (this.#dirty.length === 0) this.#dirtySinceMs = performance.now();
    this.#dirty.push(channel);
  }

  /** When what is gathered is to be sent, by `performance.now()`; Infinity when nothing is. */
  get flushDueMs(): number {
    return this.#dirtySinceMs + this.options.flushTimeoutMs;
  }

  /** Sends what has waited long enough. */
  flush(nowMs: number): void {
    if (nowMs < this.flushDueMs) return;
    const dirty = this.#dirty;
    this.#dirty = [];
    this.#dirtySinceMs = Infinity;
    for (const channel of dirty) {
      channel.isDirty = false;
      channel.seal();
    }
  }

  /** Nothing is on its way out of this slice or waits in it. */
  get isQuiet(): boolean {
    return this.outbound.every((channel) => channel.isEmpty) && this.inbound.every((channel) => channel.isEmpty);
  }

  /** Ends all connections; what comes of them is nobody's business any more. */
  close(): void {
    this.#closed = true;
    for (const { wireIn, wireOut } of this.#peers.values()) {
      wireOut?.close();
      wireIn?.close();
    }
  }
}
