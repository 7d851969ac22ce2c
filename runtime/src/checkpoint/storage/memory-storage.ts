// Snapshot storage in this process's memory: for tests, and for trying a job without leaving files behind.
import { systemClock, type Clock } from "../../base/clock.ts";
import type { ObjectVersion, ObjectWriter, SnapshotStorage, StoredObject } from "../../core/ports/snapshot-storage.ts";
import { checkObjectPath, comparePaths } from "./object-path.ts";
import { objectConflict, objectMissing } from "./storage-errors.ts";

interface Held {
  readonly content: Buffer;
  readonly version: ObjectVersion;
  readonly modifiedMs: number;
}

export class MemoryStorage implements SnapshotStorage {
  readonly url: string;
  readonly #objects = new Map<string, Held>();
  readonly #clock: Clock;
  #versions = 0;
  /** Streams that were neither finished nor aborted, with when they began. */
  readonly #unfinished = new Map<object, number>();

  constructor(name = "memory", clock: Clock = systemClock) {
    this.url = `memory://${name}`;
    this.#clock = clock;
  }

  async put(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void> {
    checkObjectPath(path);
    this.#hold(path, content instanceof Uint8Array ? [content] : content);
  }

  openWriter(path: string): ObjectWriter {
    checkObjectPath(path);
    const chunks: Uint8Array[] = [];
    const self = {};
    const end = (): void => {
      this.#unfinished.delete(self);
    };
    return {
      write: async (chunk) => {
        if (chunks.length === 0) this.#unfinished.set(self, this.#clock.now());
        chunks.push(Uint8Array.from(chunk));
      },
      finish: async () => {
        this.#hold(path, chunks);
        end();
      },
      abort: async () => end(),
    };
  }

  async create(path: string, content: Uint8Array): Promise<ObjectVersion> {
    checkObjectPath(path);
    if (this.#objects.has(path)) throw objectConflict(this.url, path);
    return this.#hold(path, [content]);
  }

  async replace(path: string, content: Uint8Array, version: ObjectVersion): Promise<ObjectVersion> {
    checkObjectPath(path);
    if (this.#objects.get(path)?.version !== version) throw objectConflict(this.url, path);
    return this.#hold(path, [content]);
  }

  async get(path: string): Promise<{ readonly content: Buffer; readonly version: ObjectVersion }> {
    const { content, version } = this.#find(path);
    return { content: Buffer.from(content), version };
  }

  async getRange(path: string, start: number, end: number): Promise<Buffer> {
    return Buffer.from(this.#find(path).content.subarray(start, Math.max(start, end)));
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    const paths = [...this.#objects.keys()].filter((path) => path.startsWith(prefix)).sort(comparePaths);
    for (const path of paths) {
      const held = this.#objects.get(path);
      if (held !== undefined) yield { path, sizeBytes: held.content.length, modifiedMs: held.modifiedMs };
    }
  }

  async delete(paths: readonly string[]): Promise<void> {
    for (const path of paths) {
      checkObjectPath(path);
      this.#objects.delete(path);
    }
  }

  async cleanUnfinished(olderThanMs: number): Promise<number> {
    const old = [...this.#unfinished].filter(([, beganMs]) => this.#clock.now() - beganMs >= olderThanMs);
    for (const [writer] of old) this.#unfinished.delete(writer);
    return old.length;
  }

  async close(): Promise<void> {}

  #find(path: string): Held {
    checkObjectPath(path);
    const held = this.#objects.get(path);
    if (held === undefined) throw objectMissing(this.url, path);
    return held;
  }

  #hold(path: string, chunks: readonly Uint8Array[]): ObjectVersion {
    const version = String(++this.#versions);
    this.#objects.set(path, { content: Buffer.concat(chunks), version, modifiedMs: this.#clock.now() });
    return version;
  }
}
