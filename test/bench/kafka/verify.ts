// The outputs of the Kafka benchmarks against a plain computation over the input topic, by code that shares nothing with the engine's decoders.
import type { WireKafkaClient } from "../../../runtime/src/connectors/kafka/client/wire-client.ts";
import { numberField } from "./number-field.ts";
import { readTopic } from "./topics.ts";

export type KafkaQuery = "q0" | "q12e" | "count";
export const kafkaQueries: readonly KafkaQuery[] = ["q0", "q12e", "count"];

export interface Verdict {
  readonly problem: string | undefined;
  /** When the broker appended the first and the last output record, ms; NaN without output. */
  readonly firstOutMs: number;
  readonly lastOutMs: number;
}

const windowMs = 10_000;
const watermarkDelayMs = 4000;

const keyOf = (name: string): Buffer => Buffer.from(`"${name}":`);

/** A 32-bit hash of numbers; sums of it modulo 2^32 do not depend on the order of rows. */
export function mix(...values: readonly number[]): number {
  let hash = 0;
  for (const value of values) {
    hash = Math.imul(hash ^ (value % 4294967296), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 13) ^ Math.floor(value / 4294967296), 0xc2b2ae35);
    hash ^= hash >>> 16;
  }
  return hash >>> 0;
}

/** What the input topics make the outputs to be; each is read once. */
export class Expectations {
  readonly #client: WireKafkaClient;
  readonly #made = new Map<KafkaQuery, Promise<unknown>>();

  constructor(client: WireKafkaClient) {
    this.#client = client;
  }

  #once<T>(query: KafkaQuery, make: () => Promise<T>): Promise<T> {
    const made = this.#made.get(query) ?? make();
    this.#made.set(query, made);
    return made as Promise<T>;
  }

  rows(topic: string): Promise<RowSums> {
    return this.#once("q0", () => rowSums(this.#client, topic));
  }

  windows(topic: string): Promise<{ readonly windows: Windows; readonly greatestMs: number }> {
    return this.#once("q12e", async () => {
      const bidder = keyOf("bidder");
      const price = keyOf("price");
      const time = keyOf("dateTime");
      const windows: Windows = new Map();
      let greatestMs = 0;
      await readTopic(this.#client, topic, (bytes, start, end) => {
        const timeMs = numberField(bytes, start, end, time);
        greatestMs = Math.max(greatestMs, timeMs);
        const id = windowId(timeMs - (timeMs % windowMs), numberField(bytes, start, end, bidder));
        const found = windows.get(id);
        const value = numberField(bytes, start, end, price);
        if (found === undefined) windows.set(id, { count: 1, maxPrice: value });
        else {
          found.count++;
          found.maxPrice = Math.max(found.maxPrice, value);
        }
      });
      return { windows, greatestMs };
    });
  }

  counts(topic: string): Promise<CountSums> {
    return this.#once("count", async () => {
      const auction = keyOf("auction");
      const counts = new Map<number, number>();
      await readTopic(this.#client, topic, (bytes, start, end) => {
        const key = numberField(bytes, start, end, auction);
        counts.set(key, (counts.get(key) ?? 0) + 1);
      });
      return countSums(counts);
    });
  }
}

export interface RowSums {
  readonly rows: number;
  readonly hash: number;
}

type Windows = Map<number, { count: number; maxPrice: number }>;

// Bidders are below 2^17, window starts divided by their size below 2^31.
const windowId = (startMs: number, bidder: number): number => (startMs / windowMs) * 131_072 + bidder;

export interface CountSums {
  readonly keys: number;
  readonly sum: number;
  readonly hash: number;
}

export function countSums(counts: Iterable<readonly [number, number]>): CountSums {
  let keys = 0;
  let sum = 0;
  let hash = 0;
  for (const [key, count] of counts) {
    keys++;
    sum += count;
    hash = (hash + mix(key, count)) >>> 0;
  }
  return { keys, sum, hash };
}

async function rowSums(client: WireKafkaClient, topic: string, times?: (timestampMs: number) => void): Promise<RowSums> {
  const [auction, bidder, price, time] = ["auction", "bidder", "price", "dateTime"].map(keyOf) as [Buffer, Buffer, Buffer, Buffer];
  let rows = 0;
  let hash = 0;
  await readTopic(client, topic, (bytes, start, end, timestampMs) => {
    rows++;
    times?.(timestampMs);
    const numbers = [auction, bidder, price, time].map((key) => numberField(bytes, start, end, key));
    hash = (hash + mix(...numbers)) >>> 0;
  });
  return { rows, hash };
}

/** The output topic of q0 or q12e. Windows that the end of the input closed, not event time, may be there or not. */
export async function verifyOutput(
  query: "q0" | "q12e",
  client: WireKafkaClient,
  expectations: Expectations,
  input: string,
  output: string,
): Promise<Verdict> {
  let firstOutMs = Number.POSITIVE_INFINITY;
  let lastOutMs = 0;
  const times = (timestampMs: number): void => {
    firstOutMs = Math.min(firstOutMs, timestampMs);
    lastOutMs = Math.max(lastOutMs, timestampMs);
  };
  let problem: string | undefined;
  if (query === "q0") {
    const expected = await expectations.rows(input);
    const got = await rowSums(client, output, times);
    if (got.rows !== expected.rows || got.hash !== expected.hash) problem = `${got.rows} rows, not ${expected.rows}, or other ones`;
  } else problem = await windowProblem(client, await expectations.windows(input), output, times);
  return { problem, firstOutMs, lastOutMs };
}

async function windowProblem(
  client: WireKafkaClient,
  { windows, greatestMs }: { readonly windows: Windows; readonly greatestMs: number },
  output: string,
  times: (timestampMs: number) => void,
): Promise<string | undefined> {
  const [bidder, startKey, countKey, maxPrice] = ["bidder", "start", "count", "maxPrice"].map(keyOf) as [Buffer, Buffer, Buffer, Buffer];
  const seen = new Set<number>();
  let wrong = 0;
  let closed = 0;
  const isClosed = (startMs: number): boolean => startMs + windowMs + watermarkDelayMs <= greatestMs;
  await readTopic(client, output, (bytes, start, end, timestampMs) => {
    times(timestampMs);
    const startMs = numberField(bytes, start, end, startKey);
    const id = windowId(startMs, numberField(bytes, start, end, bidder));
    const expected = windows.get(id);
    const matches =
      expected?.count === numberField(bytes, start, end, countKey) && expected.maxPrice === numberField(bytes, start, end, maxPrice);
    if (!matches || seen.has(id)) wrong++;
    seen.add(id);
    if (isClosed(startMs)) closed++;
  });
  let expectedClosed = 0;
  for (const id of windows.keys()) if (isClosed(Math.floor(id / 131_072) * windowMs)) expectedClosed++;
  return wrong === 0 && closed === expectedClosed
    ? undefined
    : `${wrong} rows are wrong or double; ${closed} windows closed, not ${expectedClosed}`;
}
