// Synthetic Nexmark-like bids as JSON records in one block of memory: the input of the core benchmarks.
import type { RawRecords } from "../../runtime/src/core/batch/raw-records.ts";
import type { Source, SourceReader, SourceSplit, SplitEnumerator } from "../../runtime/src/core/ports/source.ts";

export interface BidOptions {
  readonly count: number;
  /** Auctions are uniform over this many keys. */
  readonly auctions: number;
  readonly seed: number;
  /** The number of the first bid, which event time follows. Default 0. */
  readonly from?: number;
}

export interface BidBlock {
  readonly bytes: Buffer;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly bids: {
    readonly auction: Float64Array;
    readonly bidder: Float64Array;
    readonly price: Float64Array;
    readonly dateTime: Float64Array;
  };
}

const firstTimeMs = 1_700_000_000_000;
const channels = ["Google", "Facebook", "Baidu", "Apple"];
const letters = "abcdefghijklmnopqrstuvwxyz";

/** Deterministic pseudo-random numbers in [0, 1) (mulberry32 by Tommy Ettinger). */
export function random(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** Bids of about 220 bytes; event time moves 1 ms per 10 bids and is up to 2 s out of order. */
export function generateBids({ count, auctions, seed, from = 0 }: BidOptions): BidBlock {
  const next = random(seed);
  const integer = (below: number): number => Math.floor(next() * below);
  const word = (length: number): string => Array.from({ length }, () => letters[integer(26)]).join("");
  const bytes = Buffer.allocUnsafeSlow(count * 260);
  const starts = new Int32Array(count);
  const ends = new Int32Array(count);
  const bids = {
    auction: new Float64Array(count),
    bidder: new Float64Array(count),
    price: new Float64Array(count),
    dateTime: new Float64Array(count),
  };
  const extras = Array.from({ length: 64 }, () => word(40 + integer(21)));
  const paths = Array.from({ length: 256 }, () => `https://www.nexmark.com/${word(5)}/${word(5)}/${word(5)}/item.htm?query=1`);
  let at = 0;
  for (let i = 0; i < count; i++) {
    const auction = integer(auctions);
    const bidder = 1000 + integer(10_000);
    const price = Math.round(10 ** (6 * next()) * 100);
    const dateTime = firstTimeMs + Math.floor((from + i) / 10) - integer(2000);
    const channel = next() < 0.5 ? channels[integer(4)] : `channel-${integer(10_000)}`;
    bids.auction[i] = auction;
    bids.bidder[i] = bidder;
    bids.price[i] = price;
    bids.dateTime[i] = dateTime;
    starts[i] = at;
    at += bytes.write(
      `{"auction":${auction},"bidder":${bidder},"price":${price},"channel":"${channel}","url":"${paths[integer(256)]}","dateTime":${dateTime},"extra":"${extras[integer(64)]}"}`,
      at,
      "latin1",
    );
    ends[i] = at;
  }
  return { bytes: bytes.subarray(0, at), starts, ends, bids };
}

/** A bounded source of one split over a block; nothing is copied. */
export function blockSource(block: BidBlock, id = "block"): Source {
  return {
    connector: "block",
    options: { records: block.starts.length },
    bounded: true,
    openEnumerator: (): Promise<SplitEnumerator> =>
      Promise.resolve({
        intervalMs: Infinity,
        discover: (known) => Promise.resolve(known.has(id) ? [] : [{ id, position: 0 }]),
        close: () => Promise.resolve(),
      }),
    openReader: () => Promise.resolve(new BlockReader(block, id)),
  };
}

class BlockReader implements SourceReader {
  readonly #block: BidBlock;
  readonly #id: string;
  readonly #keyStart = new Int32Array(16_384).fill(-1);
  readonly #position = new Float64Array(16_384);
  readonly #timestampMs = new Float64Array(16_384);
  #at = -1;
  #finished = false;

  constructor(block: BidBlock, id: string) {
    this.#block = block;
    this.#id = id;
  }

  assign(splits: readonly SourceSplit[]): void {
    for (const split of splits) this.#at = Number(split.position);
  }

  poll(maxRecords: number): { readonly kind: "raw"; readonly records: RawRecords } | null {
    const { starts, ends, bytes } = this.#block;
    const from = this.#at;
    if (from < 0 || from >= starts.length) return null;
    const count = Math.min(maxRecords, starts.length - from);
    this.#at = from + count;
    for (let i = 0; i < count; i++) this.#position[i] = from + i;
    return {
      kind: "raw",
      records: {
        splitId: this.#id,
        count,
        bytes,
        keyStart: this.#keyStart,
        keyEnd: this.#keyStart,
        valueStart: starts.subarray(from, from + count),
        valueEnd: ends.subarray(from, from + count),
        timestampMs: this.#timestampMs,
        position: this.#position,
      },
    };
  }

  ready(): Promise<void> {
    return Promise.resolve();
  }

  snapshot(): readonly SourceSplit[] {
    return [{ id: this.#id, position: this.#at }];
  }

  takeFinished(): readonly string[] {
    if (this.#finished || this.#at < this.#block.starts.length) return [];
    this.#finished = true;
    return [this.#id];
  }

  setPaused(): void {}

  lag(): undefined {
    return undefined;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}
