// Readings that are made and sent while a job runs, and what the job must give for them, computed without the engine.
import type { KafkaClient } from "../../runtime/src/connectors/kafka/client/kafka-client.ts";
import { random } from "../bench/bids.ts";
import { produceBlock } from "../support/produce.ts";

const sessionGapMs = 700;
const firstTimeMs = 1_700_000_000_000;

interface Figures {
  n: number;
  least: number;
  greatest: number;
  total: number;
}

/** Event time moves with `perSecond` readings per second of it; each is up to half a second out of order. */
export class LiveReadings {
  sent = 0;
  readonly #client: KafkaClient;
  readonly #topic: string;
  readonly #partitions: number;
  readonly #perSecond: number;
  readonly #keys: number;
  readonly #windowMs: number;
  readonly #next: () => number;
  readonly #windows = new Map<string, Figures>();
  readonly #byKey = new Map<string, { readonly at: number; readonly value: number }[]>();

  constructor(client: KafkaClient, topic: string, partitions: number, perSecond: number, keys: number, seed: number, windowMs: number) {
    this.#client = client;
    this.#topic = topic;
    this.#partitions = partitions;
    this.#perSecond = perSecond;
    this.#keys = keys;
    this.#windowMs = windowMs;
    this.#next = random(seed);
  }

  async send(count: number): Promise<void> {
    const bytes = Buffer.allocUnsafeSlow(count * 90);
    const starts = new Int32Array(count);
    const ends = new Int32Array(count);
    let end = 0;
    for (let i = 0; i < count; i++) {
      const key = `sensor-${Math.floor(this.#next() * this.#keys)}`;
      const value = Math.floor(this.#next() * 2_000_000) - 1_000_000;
      const at = firstTimeMs + Math.floor((this.sent * 1000) / this.#perSecond) - Math.floor(this.#next() * 500);
      starts[i] = end;
      end += bytes.write(`{"key":"${key}","value":${value},"at":${at}}`, end, "latin1");
      ends[i] = end;
      add(this.#windows, `${key} ${Math.floor(at / this.#windowMs) * this.#windowMs}`, value);
      const times = this.#byKey.get(key);
      if (times === undefined) this.#byKey.set(key, [{ at, value }]);
      else times.push({ at, value });
      this.sent++;
    }
    await produceBlock(this.#client, this.#topic, this.#partitions, { bytes: bytes.subarray(0, end), starts, ends });
  }

  /** Event time that a job has reached at the least when it has read everything, with a bound of `boundMs`. */
  reachedMs(boundMs: number): number {
    // The last reading of each partition is among the last few, and up to half a second old.
    return firstTimeMs + Math.floor((this.sent * 1000) / this.#perSecond) - 500 - boundMs - 100;
  }

  /** `key windowStart` -> `n least greatest total`. */
  windows(): ReadonlyMap<string, string> {
    return new Map([...this.#windows].map(([id, figures]) => [id, show(figures)]));
  }

  /** Sessions that touch are one. `key sessionStart` -> `sessionEnd n least greatest total`. */
  sessions(): ReadonlyMap<string, string> {
    const all = new Map<string, string>();
    for (const [key, times] of this.#byKey) {
      times.sort((a, b) => a.at - b.at);
      let start = 0;
      for (let i = 1; i <= times.length; i++) {
        const before = times[i - 1] as { readonly at: number };
        const now = times[i];
        if (now !== undefined && now.at <= before.at + sessionGapMs) continue;
        const sums = new Map<string, Figures>();
        for (const { value } of times.slice(start, i)) add(sums, "", value);
        all.set(`${key} ${times[start]?.at ?? 0}`, `${before.at + sessionGapMs} ${show(sums.get("") as Figures)}`);
        start = i;
      }
    }
    return all;
  }
}

function add(sums: Map<string, Figures>, id: string, value: number): void {
  const sum = sums.get(id);
  if (sum === undefined) sums.set(id, { n: 1, least: value, greatest: value, total: value });
  else {
    sum.n++;
    sum.least = Math.min(sum.least, value);
    sum.greatest = Math.max(sum.greatest, value);
    sum.total += value;
  }
}

function show({ n, least, greatest, total }: Figures): string {
  return `${n} ${least} ${greatest} ${total}`;
}
