// Windows and aggregates written from their definitions, over arrays of plain rows: what the operators' results are compared with.
// It shares no code with the operators. Everything is recomputed from all rows, again and again.

export interface EventRow {
  readonly key: number;
  readonly v: number;
  readonly big: bigint;
  /** Hundredths. */
  readonly cents: number;
  /** A multiple of a quarter, so that sums are exact in any order. */
  readonly f: number;
  readonly s: string;
  readonly n: number | null;
  /** Different in every row. */
  readonly u: number;
}

export interface Event {
  readonly row: EventRow;
  readonly timeMs: number;
  readonly kind: "insert" | "updateBefore" | "updateAfter" | "delete";
}

export interface Window {
  readonly start: number;
  readonly end: number;
}

export type AlignedSpec =
  | { readonly kind: "tumbling"; readonly sizeMs: number; readonly offsetMs: number }
  | { readonly kind: "sliding"; readonly sizeMs: number; readonly slideMs: number; readonly offsetMs: number }
  | { readonly kind: "cumulate"; readonly sizeMs: number; readonly stepMs: number; readonly offsetMs: number };

/** All windows that hold an instant, found by trying every start near it. */
export function windowsAt(spec: AlignedSpec, timeMs: number): Window[] {
  const every = spec.kind === "sliding" ? spec.slideMs : spec.sizeMs;
  const found: Window[] = [];
  const nearest = Math.floor((timeMs - spec.offsetMs) / every);
  for (let i = nearest - Math.ceil(spec.sizeMs / every) - 1; i <= nearest + 1; i++) {
    const start = i * every + spec.offsetMs;
    const sizes =
      spec.kind === "cumulate"
        ? Array.from({ length: spec.sizeMs / spec.stepMs }, (_value, step) => (step + 1) * spec.stepMs)
        : [spec.sizeMs];
    for (const size of sizes) if (timeMs >= start && timeMs < start + size) found.push({ start, end: start + size });
  }
  return found;
}

/** What the aggregates of the tests give for some rows, each with its time. */
export interface Results {
  readonly n: number;
  readonly nn: number;
  readonly sum: number;
  readonly sumBig: bigint;
  readonly sumD: string;
  readonly sumF: number;
  readonly min: number;
  readonly max: number;
  readonly maxBig: bigint;
  readonly minD: string;
  readonly minS: string;
  readonly maxN: number | null;
  readonly avg: number;
  readonly avgN: number | null;
  readonly distinct: number;
  readonly values: readonly number[];
  readonly set: readonly number[];
  readonly first: number;
  readonly last: number;
  readonly oldest: string;
  readonly newest: string;
}

export type Timed = Pick<Event, "row" | "timeMs">;

function cents(value: number): string {
  const digits = String(Math.abs(value)).padStart(3, "0");
  return `${value < 0 ? "-" : ""}${digits.slice(0, -2)}.${digits.slice(-2)}`;
}

/** `rows` in order of arrival, at least one. */
export function aggregate(rows: readonly Timed[]): Results {
  const values = rows.map(({ row }) => row.v);
  const present = rows.map(({ row }) => row.n).filter((n) => n !== null);
  const total = (list: readonly number[]): number => list.reduce((sum, value) => sum + value, 0);
  const bigs = rows.map(({ row }) => row.big);
  const earliest = Math.min(...rows.map(({ timeMs }) => timeMs));
  const latest = Math.max(...rows.map(({ timeMs }) => timeMs));
  const byU = [...rows].sort((a, b) => a.row.u - b.row.u);
  return {
    n: rows.length,
    nn: present.length,
    sum: total(values),
    sumBig: bigs.reduce((sum, value) => sum + value, 0n),
    sumD: cents(total(rows.map(({ row }) => row.cents))),
    sumF: total(rows.map(({ row }) => row.f)),
    min: Math.min(...values),
    max: Math.max(...values),
    maxBig: bigs.reduce((most, value) => (value > most ? value : most)),
    minD: cents(Math.min(...rows.map(({ row }) => row.cents))),
    minS: rows.map(({ row }) => row.s).sort()[0] as string,
    maxN: present.length === 0 ? null : Math.max(...present),
    avg: total(values) / values.length,
    avgN: present.length === 0 ? null : total(present) / present.length,
    distinct: new Set(values).size,
    values: [...values].sort((a, b) => a - b),
    set: [...new Set(values)].sort((a, b) => a - b),
    first: rows.find(({ timeMs }) => timeMs === earliest)?.row.u as number,
    last: rows.findLast(({ timeMs }) => timeMs === latest)?.row.u as number,
    oldest: (byU[0] as Timed).row.s,
    newest: (byU.at(-1) as Timed).row.s,
  };
}

/** Adds a row to a list of rows, or takes the first equal one out. */
export function apply(rows: Timed[], event: Event): void {
  if (event.kind === "insert" || event.kind === "updateAfter") {
    rows.push({ row: event.row, timeMs: event.timeMs });
    return;
  }
  const at = rows.findIndex(({ row, timeMs }) => row.u === event.row.u && timeMs === event.timeMs);
  if (at >= 0) rows.splice(at, 1);
}

export interface Fired extends Window {
  readonly key: number;
  readonly kind: string;
  readonly results: Results;
}

export type Mode = "append" | "changelog" | "upsert";

interface Content {
  readonly key: number;
  readonly window: Window;
  readonly rows: Timed[];
}

/** Aligned windows that fire at their end, and again for each batch of rows within the allowed lateness. */
export class ReferenceWindows {
  readonly late: Event[] = [];
  #reachedMs = -Infinity;
  readonly #spec: AlignedSpec;
  readonly #latenessMs: number;
  readonly #mode: Mode;
  readonly #contents = new Map<string, Content>();

  constructor(spec: AlignedSpec, latenessMs: number, mode: Mode) {
    this.#spec = spec;
    this.#latenessMs = latenessMs;
    this.#mode = mode;
  }

  rows(batch: readonly Event[]): Fired[] {
    const changed = new Map<Content, Results | null>();
    for (const event of batch) {
      const windows = windowsAt(this.#spec, event.timeMs);
      const alive = windows.filter(({ end }) => end - 1 + this.#latenessMs > this.#reachedMs);
      if (windows.length > 0 && alive.length === 0) this.late.push(event);
      for (const window of alive) {
        const content = this.#content(event.row.key, window);
        if (window.end - 1 <= this.#reachedMs && !changed.has(content))
          changed.set(content, content.rows.length > 0 ? aggregate(content.rows) : null);
        apply(content.rows, event);
      }
    }
    return [...changed].flatMap(([content, before]) => this.#changes(content, before));
  }

  #changes({ key, window, rows }: Content, before: Results | null): Fired[] {
    const after = rows.length > 0 ? aggregate(rows) : null;
    const fired = (kind: string, results: Results): Fired => ({ key, ...window, kind, results });
    if (this.#mode === "append") return after === null ? [] : [fired("insert", after)];
    if (this.#mode === "upsert") return after === null ? [] : [fired("updateAfter", after)];
    if (before === null) return after === null ? [] : [fired("insert", after)];
    return after === null ? [fired("delete", before)] : [fired("updateBefore", before), fired("updateAfter", after)];
  }

  #content(key: number, window: Window): Content {
    const name = `${key}/${window.start}/${window.end}`;
    let found = this.#contents.get(name);
    if (found === undefined) {
      found = { key, window, rows: [] };
      this.#contents.set(name, found);
    }
    return found;
  }

  watermark(timeMs: number): Fired[] {
    if (timeMs <= this.#reachedMs) return [];
    const due = [...this.#contents.values()].filter(
      ({ window, rows }) => rows.length > 0 && window.end - 1 <= timeMs && window.end - 1 > this.#reachedMs,
    );
    this.#reachedMs = timeMs;
    return due.map(({ key, window, rows }) => ({ key, ...window, kind: "insert", results: aggregate(rows) }));
  }
}

interface Session {
  readonly start: number;
  readonly end: number;
  readonly rows: readonly Timed[];
  /** What it gave when it fired. */
  readonly given: Results | null;
}

/** Session windows, row by row. */
export class ReferenceSessions {
  readonly late: Event[] = [];
  #reachedMs = -Infinity;
  readonly #gapMs: number;
  readonly #latenessMs: number;
  readonly #mode: Mode;
  readonly #sessions = new Map<number, Session[]>();

  constructor(gapMs: number, latenessMs: number, mode: Mode) {
    this.#gapMs = gapMs;
    this.#latenessMs = latenessMs;
    this.#mode = mode;
  }

  rows(batch: readonly Event[]): Fired[] {
    return batch.flatMap((event) => this.#row(event));
  }

  #row(event: Event): Fired[] {
    const { key } = event.row;
    const all = this.#sessions.get(key) ?? [];
    const near = all.filter(({ start, end }) => start <= event.timeMs + this.#gapMs && end >= event.timeMs);
    const start = Math.min(event.timeMs, ...near.map((session) => session.start));
    const end = Math.max(event.timeMs + this.#gapMs, ...near.map((session) => session.end));
    if (end - 1 + this.#latenessMs <= this.#reachedMs) {
      this.late.push(event);
      return [];
    }
    const out: Fired[] = [];
    const same = near.length === 1 && near[0]?.start === start && near[0].end === end ? near[0] : undefined;
    if (same === undefined && this.#mode !== "append") {
      for (const old of near) if (old.given !== null) out.push({ key, start: old.start, end: old.end, kind: "delete", results: old.given });
    }
    const rows = [...near.flatMap((session) => session.rows), { row: event.row, timeMs: event.timeMs }];
    let given = same?.given ?? null;
    if (end - 1 <= this.#reachedMs) {
      const results = aggregate(rows);
      const again = given !== null && this.#mode !== "append";
      if (again && this.#mode === "changelog") out.push({ key, start, end, kind: "updateBefore", results: given as Results });
      out.push({ key, start, end, kind: again ? "updateAfter" : "insert", results });
      given = results;
    }
    this.#sessions.set(key, [...all.filter((session) => !near.includes(session)), { start, end, rows, given }]);
    return out;
  }

  watermark(timeMs: number): Fired[] {
    if (timeMs <= this.#reachedMs) return [];
    const out: Fired[] = [];
    for (const [key, sessions] of this.#sessions) {
      const kept = sessions.map((session) => {
        const { start, end, rows } = session;
        if (end - 1 > timeMs || end - 1 <= this.#reachedMs) return session;
        const results = aggregate(rows);
        out.push({ key, start, end, kind: "insert", results });
        return { ...session, given: results };
      });
      this.#sessions.set(
        key,
        kept.filter(({ end }) => end - 1 + this.#latenessMs > timeMs),
      );
    }
    this.#reachedMs = timeMs;
    return out;
  }
}
