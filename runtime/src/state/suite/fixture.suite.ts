// What the tests of keyed state share: keys from plain values, and the chain of base and captures that a restore reads.
import type { ManualClock } from "../../base/clock.ts";
import { Batch, Rows } from "../../core/batch/batch.ts";
import { rowWriter } from "../../core/batch/rows-builder.ts";
import { type KeyBatch, KeyReader } from "../../core/keys/key-batch.ts";
import { type KeyLayout, keyLayout } from "../../core/keys/key-layout.ts";
import type { KeyGroupRange } from "../../core/operator/operator.ts";
import type {
  BaseScan,
  KeyedStateBackend,
  KeyedStateBackendOptions,
  StateBlock,
  StateCapture,
  StoredState,
  StoredTableSpec,
} from "../../core/ports/state-backend.ts";
import { int64, string } from "../../core/schema/field.ts";
import { schema, type Schema } from "../../core/schema/schema.ts";

export const maxParallelism = 16;
export const allKeyGroups: KeyGroupRange = { from: 0, to: maxParallelism };

/** A kind of key with its values: number i of a small domain. */
export interface KeyKind {
  readonly name: string;
  readonly schema: Schema;
  readonly layout: KeyLayout;
  valueOf(i: number): Record<string, unknown>;
}

const integerKey = schema({ id: int64() });
const textKey = schema({ name: string() });
const pairKey = schema({ name: string().nullable(), id: int64() });

export const keyKinds: readonly KeyKind[] = [
  // Some keys lie outside of the safe integers, where only the exact form tells them apart.
  {
    name: "integer",
    schema: integerKey,
    layout: keyLayout(integerKey, ["id"]),
    valueOf: (i) => ({ id: i % 7 === 6 ? 2n ** 60n + BigInt(i) : BigInt(i) - 3n }),
  },
  {
    name: "text",
    schema: textKey,
    layout: keyLayout(textKey, ["name"]),
    valueOf: (i) => ({ name: i === 0 ? "" : `schlüssel-${"x".repeat((i * 13) % 70)}${i}` }),
  },
  {
    name: "pair",
    schema: pairKey,
    layout: keyLayout(pairKey, ["name", "id"]),
    valueOf: (i) => ({ name: i % 5 === 0 ? null : `n${i % 4}`, id: BigInt(i) }),
  },
];

/** Reads plain key values as a batch's keys. */
export class KeyMaker {
  readonly kind: KeyKind;
  readonly #reader: KeyReader;
  readonly #rows: Rows;

  constructor(kind: KeyKind) {
    this.kind = kind;
    this.#reader = new KeyReader(kind.layout);
    this.#rows = new Rows(kind.schema, 64);
  }

  keys(numbers: readonly number[]): KeyBatch {
    this.#rows.reset();
    this.#rows.ensure(numbers.length);
    this.#rows.ready.fill(1);
    const write = rowWriter(this.kind.schema);
    numbers.forEach((i, row) => write(this.#rows, row, this.kind.valueOf(i)));
    this.#rows.size = numbers.length;
    return this.#reader.read(new Batch(this.#rows));
  }
}

/** A key's row as text that tells all keys of a kind apart. */
export function keyText(row: Record<string, unknown>): string {
  return JSON.stringify(row, (_name, value: unknown) => (typeof value === "bigint" ? `${value}n` : value));
}

/** The base and the captures after it, as a checkpoint store keeps them. */
export class Chain {
  base: StateBlock[] = [];
  deltas: (readonly StateBlock[])[] = [];
  tables: readonly StoredTableSpec[] = [];
  scan: BaseScan | null = null;
  #scanned: StateBlock[] = [];
  #sinceStart: (readonly StateBlock[])[] = [];
  #scanEnded = false;

  capture(backend: KeyedStateBackend): void {
    const { tables, blocks } = takeCapture(backend);
    this.tables = tables;
    this.deltas.push(blocks);
    if (this.scan === null && !this.#scanEnded) return;
    this.#sinceStart.push(blocks);
    if (!this.#scanEnded) return;
    // The capture that follows the end of the scan: from here on the new base and the captures since its start stand alone.
    this.base = this.#scanned;
    this.deltas = this.#sinceStart;
    this.#forgetScan();
  }

  startBase(backend: KeyedStateBackend): void {
    if (this.scan !== null || this.#scanEnded) return;
    this.#scanned = [];
    this.#sinceStart = [];
    this.scan = backend.startBase();
  }

  slice(maxBytes: number): void {
    if (this.scan === null) return;
    const blocks = this.scan.next(maxBytes);
    if (blocks !== null) this.#scanned.push(...blocks);
    else {
      this.scan = null;
      this.#scanEnded = true;
    }
  }

  #forgetScan(): void {
    this.#scanned = [];
    this.#sinceStart = [];
    this.#scanEnded = false;
    this.scan = null;
  }

  /** Forgets a scan that was under way: its backend is closed. */
  abandonScan(): void {
    this.scan?.cancel();
    this.#forgetScan();
  }

  stored(): StoredState {
    return storedState(this.tables, [this.base, ...this.deltas].flat());
  }
}

/** A capture as an upload takes it: what lies on disk is read, then released. */
export function takeCapture(backend: KeyedStateBackend): StateCapture {
  const { tables, blocks, release } = backend.capture();
  const taken = blocks.map(({ table, keyGroup, entryCount, bytes }) => ({ table, keyGroup, entryCount, bytes }));
  release?.();
  return { tables, blocks: taken };
}

export function storedState(tables: readonly StoredTableSpec[], blocks: readonly StateBlock[]): StoredState {
  return {
    tables,
    async *blocks() {
      for (const block of blocks) {
        await Promise.resolve();
        yield block;
      }
    },
  };
}

export function backendOptions(clock: ManualClock, directory: string, keyGroups: KeyGroupRange = allKeyGroups): KeyedStateBackendOptions {
  return { uid: "test", keyGroups, maxParallelism, clock, directory };
}
