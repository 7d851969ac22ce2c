// Reads files in the order they were assigned, a few at a time, each a block in turn.
import { MillraceError, messageOf } from "../../../base/errors.ts";
import { RateLimit } from "../../../base/rate-limit.ts";
import { Signal } from "../../../base/signal.ts";
import type { SourceBatch, SourceContext, SourceReader, SourceSplit } from "../../../core/ports/source.ts";
import type { FileStore } from "../store/file-store.ts";
import type { FilesConfig } from "./files-options.ts";
import { openReading } from "./open-reading.ts";
import type { SplitReading } from "./split-reading.ts";

/** Where a file's reading stands; `done` files are never opened again, so they may be moved away. */
export interface FilePosition {
  readonly at: number;
  readonly done?: boolean;
}

const none: readonly string[] = [];

interface Assigned {
  readonly path: string;
  /** Of the next record while there is no reading. */
  at: number;
  /** Undefined before the file was opened, and while it is. */
  reading: SplitReading | undefined;
  /** The last poll gave nothing, and nothing has come since. */
  dry: boolean;
  paused: boolean;
}

export class FilesReader implements SourceReader {
  readonly #config: FilesConfig;
  readonly #store: FileStore;
  readonly #context: SourceContext;
  /** Files that are not read yet, those that are open or being opened, those that were read; each is in one of the three. */
  readonly #waiting: Assigned[] = [];
  #open: Assigned[] = [];
  readonly #ended: Assigned[] = [];
  /** How many of the ended ones were told by `takeFinished`. */
  #told = 0;
  /** Opened since `takeBegun` was called. */
  #begun: string[] = [];
  readonly #changed = new Signal();
  readonly #limit: RateLimit;
  /** Openings and closings under way; `close` waits for them. */
  readonly #pending = new Set<Promise<void>>();
  #turn = 0;
  #failure: Error | undefined;
  #closed = false;
  #cancelRate: (() => void) | undefined;
  #cancelFollow: (() => void) | undefined;

  constructor(config: FilesConfig, store: FileStore, context: SourceContext) {
    this.#config = config;
    this.#store = store;
    this.#context = context;
    this.#limit = new RateLimit(config.recordsPerSecond, context.clock);
    if (config.follow) this.#followLater();
  }

  assign(splits: readonly SourceSplit[]): void {
    for (const { id, position } of splits) {
      const { at, done = false } = readPosition(id, position);
      (done ? this.#ended : this.#waiting).push({ path: id, at, reading: undefined, dry: true, paused: false });
    }
    // Restored files come instance by instance, and those of before among them.
    if (this.#config.inTimeOrder) this.#waiting.sort((a, b) => (a.path < b.path ? -1 : 1));
    this.#openNext();
    this.#changed.notify();
  }

  // Opens files until as many are open as may be. Paused ones do not count: their time comes when the others are done.
  #openNext(): void {
    let active = 0;
    for (const entry of this.#open) if (!entry.paused) active++;
    while (!this.#closed && active < this.#config.concurrentFiles) {
      const index = this.#waiting.findIndex((entry) => !entry.paused);
      const [entry] = index < 0 ? [] : this.#waiting.splice(index, 1);
      if (entry === undefined) return;
      active++;
      this.#open.push(entry);
      this.#own(this.#openReading(entry));
    }
  }

  async #openReading(entry: Assigned): Promise<void> {
    const notify = (): void => {
      entry.dry = false;
      this.#changed.notify();
    };
    entry.reading = await openReading(this.#config, this.#store, this.#context, entry.path, entry.at, notify);
    this.#begun.push(entry.path);
    notify();
  }

  #own(work: Promise<void>): void {
    const owned = work.catch((error: unknown) => this.#fail(error)).finally(() => this.#pending.delete(owned));
    this.#pending.add(owned);
  }

  #fail(error: unknown): void {
    this.#failure ??=
      error instanceof Error ? error : new MillraceError("FILES_READ_FAILED", this.#config.location.text, messageOf(error), "see the log");
    this.#changed.notify();
  }

  #mayPoll(entry: Assigned): boolean {
    return entry.reading !== undefined && !entry.paused && !entry.dry;
  }

  poll(maxRecords: number): SourceBatch | null {
    if (this.#closed || this.#failure !== undefined) return null;
    const most = this.#limit.available(maxRecords);
    if (most < 1) return null;
    const open = this.#open;
    for (let i = 0; i < open.length; i++) {
      const entry = open[(this.#turn + i) % open.length] as Assigned;
      if (!this.#mayPoll(entry)) continue;
      const reading = entry.reading as SplitReading;
      const batch = reading.poll(most);
      if (batch !== null) {
        this.#turn = (this.#turn + i + 1) % open.length;
        this.#limit.take(batch.kind === "raw" ? batch.records.count : batch.rows.size);
        return batch;
      }
      // What was read before a failure was handed out.
      if (reading.failure !== undefined) {
        this.#fail(reading.failure);
        return null;
      }
      if (reading.ended) this.#end(entry, reading);
      else entry.dry = true;
    }
    return null;
  }

  #end(entry: Assigned, reading: SplitReading): void {
    entry.at = reading.position;
    entry.reading = undefined;
    this.#open = this.#open.filter((other) => other !== entry);
    this.#ended.push(entry);
    this.#own(reading.close());
    this.#openNext();
    this.#changed.notify();
  }

  async ready(): Promise<void> {
    while (!this.#closed) {
      if (this.#failure !== undefined) throw this.#failure;
      if (this.#told < this.#ended.length) return;
      if (this.#open.some((entry) => this.#mayPoll(entry))) {
        if (this.#limit.available(1) >= 1) return;
        this.#wakeForRate();
      }
      await this.#changed.next();
    }
  }

  #wakeForRate(): void {
    this.#cancelRate ??= this.#context.clock.after(this.#limit.waitMs(), () => {
      this.#cancelRate = undefined;
      this.#changed.notify();
    });
  }

  #followLater(): void {
    this.#cancelFollow = this.#context.clock.after(this.#config.discoverIntervalMs, () => {
      for (const entry of this.#open) entry.reading?.retry?.();
      this.#followLater();
    });
  }

  snapshot(): readonly SourceSplit[] {
    const going = [...this.#open, ...this.#waiting].map(
      ({ path, at, reading }): SourceSplit => ({ id: path, position: { at: reading?.position ?? at } }),
    );
    return [...going, ...this.#ended.map(({ path, at }) => ({ id: path, position: { at, done: true } }))];
  }

  takeFinished(): readonly string[] {
    const taken = this.#ended.slice(this.#told).map((entry) => entry.path);
    this.#told = this.#ended.length;
    return taken;
  }

  takeBegun(): readonly string[] {
    if (this.#begun.length === 0) return none;
    const taken = this.#begun;
    this.#begun = [];
    return taken;
  }

  setPaused(splitId: string, paused: boolean): void {
    const entry = [...this.#open, ...this.#waiting].find((candidate) => candidate.path === splitId);
    if (entry === undefined) return;
    entry.paused = paused;
    this.#openNext();
    this.#changed.notify();
  }

  lag(): undefined {
    return undefined;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelRate?.();
    this.#cancelFollow?.();
    this.#changed.notify();
    await Promise.all(this.#pending);
    await Promise.all(this.#open.map(async (entry) => entry.reading?.close()));
    await this.#store.close();
  }
}

function readPosition(path: string, position: unknown): FilePosition {
  if (typeof position === "object" && position !== null && "at" in position) {
    const { at, done } = position as { readonly at: unknown; readonly done?: unknown };
    if (Number.isSafeInteger(at) && (at as number) >= 0) return { at: at as number, done: done === true };
  }
  throw new MillraceError(
    "POSITION_INVALID",
    path,
    `${JSON.stringify(position)} is not a position in a file`,
    "start from a snapshot of this source",
  );
}
