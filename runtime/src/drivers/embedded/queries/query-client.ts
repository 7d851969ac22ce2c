// A client of an application's stores: asks any of its processes, and another one when that does not answer.
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { JsonValue } from "../../../core/codec/json-value.ts";
import type { Positions, QueryAnswer, QueryRequest } from "./app-queries.ts";
import type { StoreQuery } from "./store-query.ts";

export interface QueryClientOptions {
  /** Some of the application's processes, such as `http://counts-0:7070`. */
  readonly urls: readonly string[];
  readonly token?: string;
  /** How long to ask again while tasks move. Default 10 s. */
  readonly timeoutMs?: number;
  /** Standbys may answer, with what their copies hold: for reads while an owner is away. Default false. */
  readonly stale?: boolean;
}

export interface KeyedValue<Key, Value> {
  readonly key: Key;
  readonly window: number;
  readonly value: Value;
}

/** A store's rows, typed by the caller. */
export interface StoreClient<Key, Value> {
  get(key: Key | JsonValue, window?: number): Promise<Value | undefined>;
  /** The windows of a key that begin in `[from, to)`. */
  windows(key: Key | JsonValue, from?: number, to?: number): Promise<readonly KeyedValue<Key, Value>[]>;
  range(from?: JsonValue, to?: JsonValue): Promise<readonly KeyedValue<Key, Value>[]>;
  prefix(prefix: string): Promise<readonly KeyedValue<Key, Value>[]>;
  all(): Promise<readonly KeyedValue<Key, Value>[]>;
}

const pauseMs = 100;
const again: ReadonlySet<string> = new Set(["STORE_NOT_READY", "QUERY_BEHIND"]);

/** One request to one process. Rejects with the code that it answers with. */
export async function askStore(
  url: string,
  { uid, ...body }: QueryRequest,
  token: string | undefined,
  timeoutMs: number,
): Promise<QueryAnswer> {
  const answer = await fetch(`${url}/v1/stores/${encodeURIComponent(uid)}/query`, {
    method: "POST",
    body: JSON.stringify(body),
    headers: { "content-type": "application/json", ...(token === undefined ? {} : { authorization: `Bearer ${token}` }) },
    signal: AbortSignal.timeout(Math.max(1, Math.ceil(timeoutMs))),
  });
  const read = (await answer.json()) as QueryAnswer & { readonly code?: string; readonly message?: string };
  if (answer.ok) return read;
  throw toldError(uid, read.code ?? "STORE_NOT_READY", read.message ?? `the process answers with status ${answer.status}`);
}

// What a process says of an error names the store and the next step already.
function toldError(uid: string, code: string, message: string): MillraceError {
  const subject = `store ${uid}`;
  const text = message.startsWith(`${subject}: `) ? message.slice(subject.length + 2) : message;
  const end = text.lastIndexOf("; ");
  return end < 0
    ? new MillraceError(code, subject, text, "see the process's log")
    : new MillraceError(code, subject, text.slice(0, end), text.slice(end + 2));
}

export class QueryClient {
  readonly #options: QueryClientOptions;
  #turn = 0;

  constructor(options: QueryClientOptions) {
    this.#options = options;
  }

  /** Rejects, when the time is over, with what the last process said. `after`: the positions of an earlier answer, never to go back. */
  async query(uid: string, query: StoreQuery, after?: Positions): Promise<QueryAnswer> {
    const { urls, token, timeoutMs = 10_000, stale = false } = this.#options;
    const untilMs = performance.now() + timeoutMs;
    let told: MillraceError | undefined;
    for (;;) {
      const leftMs = untilMs - performance.now();
      try {
        const url = urls[this.#turn % urls.length] ?? "";
        return await askStore(url, { uid, query, ...(after === undefined ? {} : { after }), ...(stale ? { stale } : {}) }, token, leftMs);
      } catch (error) {
        if (error instanceof MillraceError) {
          if (!again.has(error.code)) throw error;
          told = error;
        }
        if (leftMs <= pauseMs) {
          // The last try may have had no time for an answer: what was said before says more.
          throw (
            told ??
            new MillraceError("STORE_NOT_READY", `store ${uid}`, messageOf(error), "ask again when a process answers", { cause: error })
          );
        }
        this.#turn++;
        await new Promise((resolve) => setTimeout(resolve, Math.min(pauseMs, Math.max(0, untilMs - performance.now()))));
      }
    }
  }

  store<Key, Value>(uid: string, table?: string): StoreClient<Key, Value> {
    const of = table === undefined ? {} : { table };
    const rows = async (query: StoreQuery): Promise<readonly KeyedValue<Key, Value>[]> =>
      (await this.query(uid, { ...query, ...of })).rows as unknown as readonly KeyedValue<Key, Value>[];
    return {
      async get(key, window) {
        const [found] = await rows({ kind: "get", key: key as JsonValue, ...(window === undefined ? {} : { window }) });
        return found?.value;
      },
      windows: (key, from, to) =>
        rows({ kind: "windows", key: key as JsonValue, ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }),
      range: (from, to) => rows({ kind: "range", ...(from === undefined ? {} : { from }), ...(to === undefined ? {} : { to }) }),
      prefix: (prefix) => rows({ kind: "prefix", prefix }),
      all: () => rows({ kind: "all" }),
    };
  }
}
