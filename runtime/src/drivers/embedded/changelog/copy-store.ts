// Copies of changelog partitions on disk: records and position in one write, so that a process that died goes on where it was.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { ByteReader, ByteWriter } from "../../../base/bytes.ts";
import type { Clock } from "../../../base/clock.ts";
import { isMillraceError, MillraceError, messageOf } from "../../../base/errors.ts";
import { RocksDatabase } from "../../../state/rocksdb/rocks-binding.ts";
import type { ChangelogCopy } from "./changelog-copy.ts";

/** Processes on one machine that share a folder: each has a part of it to itself. */
const mostProcesses = 64;
const databaseOptions = { memtableMemoryBudget: 16 * 2 ** 20, cacheSize: 8 * 2 ** 20 };
const scanRows = 1024;
const everything = new Uint8Array(0);
const kind = { position: 1, record: 2 } as const;

/** A copy by what it is a copy of. */
interface Stored {
  readonly topic: string;
  readonly partition: number;
  position: number;
  usedAtMs: number;
}

export class CopyStore {
  /** A folder of this process's own for what need not outlive it. */
  readonly scratchDirectory: string;
  readonly #database: RocksDatabase;
  readonly #directory: string;
  readonly #clock: Clock;
  readonly #stored = new Map<string, Stored>();

  private constructor(database: RocksDatabase, directory: string, clock: Clock) {
    this.#database = database;
    this.#directory = directory;
    this.#clock = clock;
    this.scratchDirectory = join(directory, "scratch");
  }

  /**
   * Opens the first part of the folder that no other process has; the database's own lock says so, and ends with its process. Rejects
   * with EMBEDDED_STATE_DIRECTORY, or DEPENDENCY_MISSING.
   */
  static async open(folder: string, applicationId: string, clock: Clock): Promise<CopyStore> {
    let problem: unknown;
    for (let number = 0; number < mostProcesses; number++) {
      const directory = join(folder, `${applicationId}-${number}`);
      try {
        await mkdir(directory, { recursive: true });
        const database = new RocksDatabase(join(directory, "copies"), databaseOptions);
        await database.open();
        const store = new CopyStore(database, directory, clock);
        await rm(store.scratchDirectory, { recursive: true, force: true });
        await mkdir(store.scratchDirectory);
        store.#load();
        return store;
      } catch (error) {
        if (isMillraceError(error, "DEPENDENCY_MISSING")) throw error;
        problem = error;
        if (!/lock/i.test(reasonOf(error))) break;
      }
    }
    throw failed(folder, "it could not be opened", problem);
  }

  // The positions of all copies; the records stay where they are.
  #load(): void {
    for (const value of this.#scan(Buffer.from([kind.position]))) {
      const reader = new ByteReader(value);
      const [topic, partition, position, usedAtMs] = [reader.string(), reader.varint(), reader.f64(), reader.f64()];
      this.#stored.set(nameOf(topic, partition), { topic, partition, position, usedAtMs });
    }
  }

  *#scan(prefix: Buffer): Generator<Buffer> {
    const iterator = this.#database.iterate(prefix, behind(prefix));
    try {
      for (;;) {
        const { values, finished } = iterator.next(scanRows);
        yield* values;
        if (finished) return;
      }
    } finally {
      iterator.close();
    }
  }

  /** The copies that are there. */
  copies(): readonly { readonly topic: string; readonly partition: number; readonly position: number }[] {
    return [...this.#stored.values()].filter((each) => each.position > 0);
  }

  copy(topic: string, partition: number): ChangelogCopy {
    const name = nameOf(topic, partition);
    const stored = this.#stored.get(name) ?? { topic, partition, position: 0, usedAtMs: this.#clock.now() };
    this.#stored.set(name, stored);
    return new DiskCopy(this, stored);
  }

  /** Deletes copies that nobody has used for longer than `ageMs`, but for those in `keep`. */
  clean(ageMs: number, keep: (topic: string, partition: number) => boolean): void {
    const untilMs = this.#clock.now() - ageMs;
    for (const stored of [...this.#stored.values()]) {
      if (stored.usedAtMs >= untilMs || keep(stored.topic, stored.partition)) continue;
      this.drop(stored);
      this.#stored.delete(nameOf(stored.topic, stored.partition));
    }
  }

  /** Writes records of a copy together with its position. When that fails, the copy is what it was before. */
  write(stored: Stored, records: readonly (readonly [key: Uint8Array, value: Uint8Array | null])[], position: number): void {
    const usedAtMs = this.#clock.now();
    const prefix = recordPrefix(stored);
    for (const [key, value] of records) {
      const at = Buffer.concat([prefix, key]);
      if (value === null) this.#database.delete(at);
      else {
        const writer = new ByteWriter(key.length + value.length + 8);
        writer.bytes(key);
        writer.raw(value);
        this.#database.put(at, writer.view());
      }
    }
    const writer = new ByteWriter(64);
    writer.string(stored.topic);
    writer.varint(stored.partition);
    writer.f64(position);
    writer.f64(usedAtMs);
    this.#database.put(positionKey(stored), writer.view());
    this.#checked(() => this.#database.write());
    stored.position = position;
    stored.usedAtMs = usedAtMs;
  }

  *records(stored: Stored, prefix: Uint8Array): Generator<readonly [Uint8Array, Uint8Array]> {
    for (const value of this.#scan(Buffer.concat([recordPrefix(stored), prefix]))) {
      const reader = new ByteReader(value);
      const key = reader.bytes();
      yield [key, reader.raw(reader.remaining)];
    }
  }

  record(stored: Stored, key: Uint8Array): Uint8Array | undefined {
    const [value] = this.#database.getMany([Buffer.concat([recordPrefix(stored), key])]);
    if (value === undefined) return undefined;
    const reader = new ByteReader(value);
    reader.bytes();
    return reader.raw(reader.remaining);
  }

  /** Deletes the records and the position of a copy. */
  drop(stored: Stored): void {
    const prefix = recordPrefix(stored);
    for (const [key] of this.records(stored, everything)) this.#database.delete(Buffer.concat([prefix, key]));
    this.#database.delete(positionKey(stored));
    this.#checked(() => this.#database.write());
    stored.position = 0;
  }

  #checked(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#database.discard();
      throw failed(this.#directory, "it could not be written", error);
    }
  }

  async close(): Promise<void> {
    await this.#database.close();
    await rm(this.scratchDirectory, { recursive: true, force: true });
  }
}

class DiskCopy implements ChangelogCopy {
  readonly #store: CopyStore;
  readonly #stored: Stored;
  #waiting: (readonly [Uint8Array, Uint8Array | null])[] = [];

  constructor(store: CopyStore, stored: Stored) {
    this.#store = store;
    this.#stored = stored;
  }

  get position(): number {
    return this.#stored.position;
  }

  apply(key: Uint8Array, value: Uint8Array | null): void {
    this.#waiting.push([Uint8Array.from(key), value === null ? null : Uint8Array.from(value)]);
  }

  get(key: Uint8Array): Uint8Array | undefined {
    return this.#store.record(this.#stored, key);
  }

  advance(position: number): void {
    this.#store.write(this.#stored, this.#waiting, position);
    this.#waiting = [];
  }

  clear(): void {
    this.#waiting = [];
    this.#store.drop(this.#stored);
  }

  records(prefix: Uint8Array = everything): Iterable<readonly [Uint8Array, Uint8Array]> {
    return this.#store.records(this.#stored, prefix);
  }
}

const nameOf = (topic: string, partition: number): string => `${topic}/${partition}`;

function keyOf(of: number, { topic, partition }: Stored): Buffer {
  const writer = new ByteWriter(64);
  writer.u8(of);
  writer.string(topic);
  writer.u16(partition);
  return writer.copy();
}
const positionKey = (stored: Stored): Buffer => keyOf(kind.position, stored);
const recordPrefix = (stored: Stored): Buffer => Buffer.concat([keyOf(kind.record, stored), Buffer.from([0])]);

/** What follows all keys that begin with `prefix`; every prefix here begins with a kind, so there is such a key. */
function behind(prefix: Buffer): Buffer {
  let { length } = prefix;
  while (prefix[length - 1] === 255) length--;
  const next = Buffer.from(prefix.subarray(0, length));
  next[length - 1] = (next[length - 1] as number) + 1;
  return next;
}

function reasonOf(error: unknown): string {
  const cause = error instanceof Error && error.cause !== undefined ? `: ${messageOf(error.cause)}` : "";
  return `${messageOf(error)}${cause}`;
}

function failed(directory: string, problem: string, error: unknown): MillraceError {
  return new MillraceError(
    "EMBEDDED_STATE_DIRECTORY",
    `state directory ${directory}`,
    `${problem}: ${reasonOf(error)}`,
    "give the application a folder on a local disk that it may write to and that has room; what was committed is in Kafka",
    { cause: error },
  );
}
