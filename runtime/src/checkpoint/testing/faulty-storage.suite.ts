// A storage whose process dies, or whose operations fail, where a test says: wraps one that passes the contract suite.
import { MillraceError } from "../../base/errors.ts";
import type { ObjectVersion, ObjectWriter, SnapshotStorage, StoredObject } from "../../core/ports/snapshot-storage.ts";

/** `before`: the operation does not happen. `after`: it happens, and its answer is lost. */
export type FaultMoment = "before" | "after";

export class FaultyStorage implements SnapshotStorage {
  readonly url: string;
  readonly #inner: SnapshotStorage;
  /** Every change that was asked for, in order. */
  readonly changes: string[] = [];
  /** The number of the change to fail at, and whether everything fails from then on. */
  fault: { readonly at: number; readonly moment: FaultMoment; readonly dies: boolean } | undefined;
  #dead = false;

  constructor(inner: SnapshotStorage) {
    this.#inner = inner;
    this.url = inner.url;
  }

  put(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void> {
    return this.#change(`put ${path}`, () => this.#inner.put(path, content));
  }

  openWriter(path: string): ObjectWriter {
    const writer = this.#inner.openWriter(path);
    return {
      write: (chunk) => this.#change(`write ${path}`, () => writer.write(chunk)),
      finish: () => this.#change(`finish ${path}`, () => writer.finish()),
      abort: () => writer.abort(),
    };
  }

  create(path: string, content: Uint8Array): Promise<ObjectVersion> {
    return this.#change(`create ${path}`, () => this.#inner.create(path, content));
  }

  replace(path: string, content: Uint8Array, version: ObjectVersion): Promise<ObjectVersion> {
    return this.#change(`replace ${path}`, () => this.#inner.replace(path, content, version));
  }

  async get(path: string): Promise<{ readonly content: Buffer; readonly version: ObjectVersion }> {
    this.#throwIfDead();
    return this.#inner.get(path);
  }

  async getRange(path: string, start: number, end: number): Promise<Buffer> {
    this.#throwIfDead();
    return this.#inner.getRange(path, start, end);
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    this.#throwIfDead();
    yield* this.#inner.list(prefix);
  }

  // One change per object: storages delete them one by one.
  async delete(paths: readonly string[]): Promise<void> {
    for (const path of paths) await this.#change(`delete ${path}`, () => this.#inner.delete([path]));
  }

  cleanUnfinished(olderThanMs: number): Promise<number> {
    return this.#change("clean", () => this.#inner.cleanUnfinished(olderThanMs));
  }

  close(): Promise<void> {
    return this.#inner.close();
  }

  async #change<T>(what: string, act: () => Promise<T>): Promise<T> {
    this.#throwIfDead();
    const { fault } = this;
    const isHere = fault !== undefined && fault.at === this.changes.length;
    this.changes.push(what);
    if (isHere && fault.dies) this.#dead = true;
    if (isHere && fault.moment === "before") throw this.#lost();
    const result = await act();
    if (isHere) throw this.#lost();
    return result;
  }

  #throwIfDead(): void {
    if (this.#dead) throw this.#lost();
  }

  #lost(): MillraceError {
    return new MillraceError("STORAGE_UNREACHABLE", this.url, "gave no answer", "this is a test");
  }
}
