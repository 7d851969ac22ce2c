// The contract of keyed tables: every look-up, change, visit and restore against a plain map.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { Rows } from "../../core/batch/batch.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { KeyedState, KeyedTable, SlotVisitor, TimeToLive } from "../../core/ports/state.ts";
import { float64, int64, list, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import type { SuiteBackend } from "../state-backend.suite.ts";
import { allKeyGroups, type KeyKind, KeyMaker, keyKinds, keyText } from "./fixture.suite.ts";
import { Opened } from "./opened.suite.ts";

const valueSchema = schema({ total: float64(), name: string().nullable(), big: int64(), tags: list(string()).optional() });

interface Value {
  total: number;
  name: string | null;
  big: bigint;
  tags: readonly string[] | undefined;
  /** When it was last refreshed, for a table with time to live. */
  stampMs: number;
}

type Operation =
  | { readonly kind: "update"; readonly keys: readonly number[]; readonly namespaces: readonly number[] | null; readonly by: number }
  | { readonly kind: "read"; readonly keys: readonly number[]; readonly namespaces: readonly number[] | null }
  | { readonly kind: "delete"; readonly keys: readonly number[]; readonly namespace: number }
  | { readonly kind: "one"; readonly key: number; readonly namespace: number; readonly create: boolean }
  | { readonly kind: "visit"; readonly namespace: number; readonly change: "nothing" | "touch" | "delete" }
  | { readonly kind: "visitAll"; readonly deleteEvery: number }
  | { readonly kind: "namespaces"; readonly upTo: number }
  | { readonly kind: "capture" | "startBase" | "restart" }
  | { readonly kind: "slice"; readonly maxBytes: number }
  | { readonly kind: "time"; readonly byMs: number };

const namespaceValues = [0, -5, 60_000, 1_700_000_000_000, Number.MAX_SAFE_INTEGER];
const someNamespace = fc.constantFrom(...namespaceValues);
const keyCount = 40;
const someKey = fc.nat(keyCount - 1);
const someKeys = fc.array(someKey, { minLength: 1, maxLength: 30 });

const withNamespaces = someKeys.chain((keys) =>
  fc.record({
    keys: fc.constant(keys),
    namespaces: fc.option(fc.array(someNamespace, { minLength: keys.length, maxLength: keys.length }), { nil: null }),
  }),
);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(withNamespaces, fc.integer({ min: -9, max: 9 })).map(([at, by]) => ({ kind: "update" as const, ...at, by })),
  },
  { weight: 3, arbitrary: withNamespaces.map((at) => ({ kind: "read" as const, ...at })) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("delete" as const), keys: someKeys, namespace: someNamespace }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("one" as const), key: someKey, namespace: someNamespace, create: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("visit" as const),
      namespace: someNamespace,
      change: fc.constantFrom("nothing" as const, "touch" as const, "delete" as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("visitAll" as const), deleteEvery: fc.integer({ min: 2, max: 9 }) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("namespaces" as const), upTo: fc.constantFrom(...namespaceValues, Number.POSITIVE_INFINITY) }),
  },
  { weight: 3, arbitrary: fc.constant({ kind: "capture" as const }) },
  { weight: 2, arbitrary: fc.constant({ kind: "startBase" as const }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("slice" as const), maxBytes: fc.constantFrom(1, 60, 100_000) }) },
  { weight: 1, arbitrary: fc.constant({ kind: "restart" as const }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("time" as const), byMs: fc.integer({ min: 1, max: 60 }) }) },
);

// Few keys that come and go while a base is scanned in few slices: what was never captured must not come back from it.
const lean = fc.array(fc.nat(3), { minLength: 1, maxLength: 3 });
const scanOperation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 4, arbitrary: lean.map((keys) => ({ kind: "update" as const, keys, namespaces: null, by: 1 })) },
  { weight: 4, arbitrary: lean.map((keys) => ({ kind: "delete" as const, keys, namespace: 0 })) },
  { weight: 2, arbitrary: fc.constant({ kind: "capture" as const }) },
  { weight: 3, arbitrary: fc.constant({ kind: "startBase" as const }) },
  { weight: 6, arbitrary: fc.constant({ kind: "slice" as const, maxBytes: 100_000 }) },
);

/** The table under test beside the map that says what it must hold. */
class Checked {
  readonly opened: Opened<KeyedTable>;
  readonly maker: KeyMaker;
  readonly ttl: TimeToLive | undefined;
  readonly model = new Map<string, Value>();
  #watermarkMs = Number.NEGATIVE_INFINITY;

  constructor(backend: SuiteBackend, kind: KeyKind, ttl: TimeToLive | undefined) {
    this.maker = new KeyMaker(kind);
    this.ttl = ttl;
    this.opened = new Opened(backend.factory, (state: KeyedState) =>
      state.table({ name: "t", key: kind.layout, value: valueSchema, ...(ttl === undefined ? {} : { ttl }) }),
    );
  }

  get #table(): KeyedTable {
    return this.opened.tables;
  }

  #nowMs(): number {
    return this.ttl?.time === "event" ? this.#watermarkMs : this.opened.clock.now();
  }

  #id(key: number, namespace: number): string {
    return `${namespace} ${keyText(this.maker.kind.valueOf(key))}`;
  }

  /** The model without what has expired. */
  #forgetExpired(): void {
    if (this.ttl === undefined || this.#nowMs() === Number.NEGATIVE_INFINITY) return;
    for (const [id, value] of this.model) if (value.stampMs + this.ttl.ttlMs <= this.#nowMs()) this.model.delete(id);
  }

  #read(slot: number): Omit<Value, "stampMs"> {
    const [total, name, big, tags] = this.#table.columns as [never, never, never, never];
    return readValue(total, name, big, tags, slot);
  }

  #expectEqual(slot: number, expected: Value | undefined, what: string): void {
    if (expected === undefined) throw new Error(`${what}: slot ${slot} of an entry that is not there`);
    const { stampMs: _, ...values } = expected;
    expect(this.#read(slot), what).toEqual(values);
  }

  #write(slot: number, value: Value): void {
    const [total, name, big, tags] = this.#table.columns;
    if (total === undefined || name === undefined || big === undefined || tags === undefined) throw new Error("columns");
    total.numbers[slot] = value.total;
    if (name.nulls !== null || value.name === null) name.setAbsent(slot, value.name === null ? 1 : 0);
    name.setText(slot, value.name ?? "");
    big.setInt64(slot, value.big);
    if (tags.nulls !== null || value.tags === undefined) tags.setAbsent(slot, value.tags === undefined ? 2 : 0);
    tags.objects[slot] = value.tags;
  }

  #updated(old: Value | undefined, by: number): Value {
    const total = (old?.total ?? 0) + by;
    return {
      total,
      name: by % 3 === 0 ? null : `n${total}`.repeat(1 + (Math.abs(by) % 4)),
      big: BigInt.asIntN(64, BigInt(total) * 10n ** BigInt(Math.abs(by) * 2)),
      tags: by < 0 ? undefined : [`t${by}`],
      stampMs: this.#nowMs(),
    };
  }

  #refreshByRead(id: string): void {
    const value = this.model.get(id);
    if (value !== undefined && this.ttl?.refresh === "read-write") value.stampMs = this.#nowMs();
  }

  #find(
    numbers: readonly number[],
    namespaces: readonly number[] | null,
    create: boolean,
  ): { slots: Int32Array; created: number[]; ids: string[] } {
    const keys = this.maker.keys(numbers);
    const slots = new Int32Array(numbers.length + 3).fill(-7);
    const count = this.#table.findAll(keys, namespaces === null ? null : Float64Array.from(namespaces), slots, create);
    expect([...slots.subarray(numbers.length)]).toEqual([-7, -7, -7]);
    const ids = numbers.map((key, k) => this.#id(key, namespaces?.[k] ?? 0));
    return { slots, created: [...this.#table.created.subarray(0, count)], ids };
  }

  #update({ keys, namespaces, by }: Operation & { kind: "update" }): void {
    const { slots, created, ids } = this.#find(keys, namespaces, true);
    const fresh = new Set(ids.filter((id) => !this.model.has(id)));
    expect(new Set(created).size).toBe(created.length);
    expect(new Set(created)).toEqual(new Set(ids.flatMap((id, k) => (fresh.has(id) ? [slots[k] as number] : []))));
    const slotOf = new Map<string, number>();
    ids.forEach((id, k) => {
      const slot = slots[k] as number;
      expect(slotOf.get(id) ?? slot, `two slots for ${id}`).toBe(slot);
      slotOf.set(id, slot);
    });
    expect(new Set(slotOf.values()).size, "one slot for two keys").toBe(slotOf.size);
    for (const [id, slot] of slotOf) {
      const old = this.model.get(id);
      if (old !== undefined) this.#expectEqual(slot, old, `update of ${id}`);
      else expect(this.#read(slot), `new entry ${id}`).toEqual({ total: 0, name: "", big: 0n, tags: undefined });
      const value = this.#updated(old, by);
      this.#write(slot, value);
      this.model.set(id, value);
    }
    this.#table.touchAll(slots, keys.length);
  }

  #readSome({ keys, namespaces }: Operation & { kind: "read" }): void {
    const { slots, created, ids } = this.#find(keys, namespaces, false);
    expect(created).toEqual([]);
    ids.forEach((id, k) => {
      const slot = slots[k] as number;
      if (slot === -1) expect(this.model.has(id), `${id} was not found`).toBe(false);
      else this.#expectEqual(slot, this.model.get(id), `read of ${id}`);
      this.#refreshByRead(id);
    });
  }

  #deleteSome({ keys, namespace }: Operation & { kind: "delete" }): void {
    const distinct = [...new Set(keys)];
    const { slots, ids } = this.#find(
      distinct,
      distinct.map(() => namespace),
      false,
    );
    ids.forEach((id, k) => {
      if ((slots[k] as number) >= 0) this.#table.delete(slots[k] as number);
      this.model.delete(id);
    });
  }

  #one({ key, namespace, create }: Operation & { kind: "one" }): void {
    const keys = this.maker.keys([(key + 1) % keyCount, key]);
    const id = this.#id(key, namespace);
    const slot = this.#table.find(keys, 1, namespace, create);
    const old = this.model.get(id);
    if (slot === -1) {
      expect(old).toBe(undefined);
      expect(create).toBe(false);
      return;
    }
    expect(old !== undefined || create, `${id} was found`).toBe(true);
    if (old !== undefined) this.#expectEqual(slot, old, `find of ${id}`);
    expect(this.#table.namespaceOf(slot)).toBe(namespace);
    expect(this.#table.hashOf(slot)).toBe(keys.hashes[1]);
    expect(Buffer.from(this.#table.keyBytes(slot))).toEqual(bytesOf(keys, 1));
    this.#refreshByRead(id);
    if (!create) return;
    const value = this.#updated(old, 1);
    this.#write(slot, value);
    this.#table.touch(slot);
    this.model.set(id, value);
  }

  /** Runs a visit and returns what it showed, by id. `act` runs on each slot after it was read. */
  #visit(run: (visitor: SlotVisitor) => void, act: (slot: number, id: string) => void): Map<string, Omit<Value, "stampMs">> {
    const seen = new Map<string, Omit<Value, "stampMs">>();
    const kind = this.maker.kind;
    const targets = kind.schema.fields.map((field) => field.index);
    const rows = new Rows(kind.schema, 1);
    rows.ready.fill(1);
    run((slots, count) => {
      for (let i = 0; i < count; i++) {
        const slot = slots[i] as number;
        this.#table.copyKey(slot, rows, 0, targets);
        const id = `${this.#table.namespaceOf(slot)} ${keyText(rowOf(rows, kind))}`;
        expect(seen.has(id), `${id} was visited twice`).toBe(false);
        seen.set(id, this.#read(slot));
        act(slot, id);
      }
    });
    return seen;
  }

  #expectSeen(seen: Map<string, Omit<Value, "stampMs">>, expected: readonly [string, Value][]): void {
    expect([...seen.keys()].sort()).toEqual(expected.map(([id]) => id).sort());
    for (const [id, { stampMs: _, ...value }] of expected) expect(seen.get(id), id).toEqual(value);
  }

  #visitNamespace({ namespace, change }: Operation & { kind: "visit" }): void {
    const expected = [...this.model]
      .filter(([id]) => id.startsWith(`${namespace} `))
      .map(([id, value]) => [id, { ...value }] as [string, Value]);
    const seen = this.#visit(
      (visitor) => this.#table.visitNamespace(namespace, visitor),
      (slot, id) => {
        if (change === "delete") {
          this.#table.delete(slot);
          this.model.delete(id);
        } else if (change === "touch") {
          const value = this.#updated(this.model.get(id), 2);
          this.#write(slot, value);
          this.#table.touch(slot);
          this.model.set(id, value);
        }
      },
    );
    this.#expectSeen(seen, expected);
  }

  #visitAll(deleteEvery: number): void {
    const expected = [...this.model];
    let n = 0;
    const seen = this.#visit(
      (visitor) => this.#table.visitAll(visitor),
      (slot, id) => {
        if (n++ % deleteEvery !== 0) return;
        this.#table.delete(slot);
        this.model.delete(id);
      },
    );
    this.#expectSeen(seen, expected);
  }

  async apply(op: Operation): Promise<void> {
    this.#forgetExpired();
    const { chain, backend } = this.opened;
    switch (op.kind) {
      case "update":
        this.#update(op);
        break;
      case "read":
        this.#readSome(op);
        break;
      case "delete":
        this.#deleteSome(op);
        break;
      case "one":
        this.#one(op);
        break;
      case "visit":
        this.#visitNamespace(op);
        break;
      case "visitAll":
        this.#visitAll(op.deleteEvery);
        break;
      case "namespaces": {
        const all = new Set([...this.model.keys()].map((id) => Number(id.split(" ")[0])));
        expect(this.#table.namespaces(op.upTo)).toEqual([...all].filter((n) => n <= op.upTo).sort((a, b) => a - b));
        break;
      }
      case "capture":
        chain.capture(backend);
        break;
      case "startBase":
        chain.startBase(backend);
        break;
      case "slice":
        chain.slice(op.maxBytes);
        break;
      case "restart":
        await this.opened.restart();
        if (this.ttl?.time === "event") this.opened.backend.onWatermark(this.#watermarkMs);
        break;
      case "time":
        this.opened.clock.advance(op.byMs);
        if (this.ttl?.time === "event") this.#advanceWatermark(op.byMs);
        break;
    }
    if (this.ttl === undefined) expect(this.#table.size).toBe(this.model.size);
  }

  #advanceWatermark(byMs: number): void {
    const first = this.#watermarkMs === Number.NEGATIVE_INFINITY;
    this.#watermarkMs = first ? 5000 : this.#watermarkMs + byMs;
    if (first) for (const value of this.model.values()) value.stampMs = this.#watermarkMs;
    this.opened.backend.onWatermark(this.#watermarkMs);
  }

  /** Restores the chain into several instances, and checks that together they hold exactly the model. */
  async expectRestored(splitAt: number): Promise<void> {
    this.opened.chain.capture(this.opened.backend);
    this.#forgetExpired();
    const ranges = [
      { from: 0, to: splitAt },
      { from: splitAt, to: allKeyGroups.to },
    ];
    const seen = new Map<string, Omit<Value, "stampMs">>();
    const keep = this.opened.tables;
    for (const part of await this.opened.restored(ranges)) {
      if (this.ttl?.time === "event") part.backend.onWatermark(this.#watermarkMs);
      this.opened.tables = part.tables;
      for (const [id, value] of this.#visit(
        (visitor) => part.tables.visitAll(visitor),
        () => {},
      )) {
        expect(seen.has(id), `${id} was restored twice`).toBe(false);
        seen.set(id, value);
      }
      await part.backend.close();
    }
    this.opened.tables = keep;
    this.#expectSeen(seen, [...this.model]);
  }
}

function readValue(
  total: { numbers: Float64Array },
  name: { nulls: Uint8Array | null; getText(slot: number): string },
  big: { getInt64(slot: number): bigint },
  tags: { nulls: Uint8Array | null; objects: unknown[] },
  slot: number,
): Omit<Value, "stampMs"> {
  return {
    total: total.numbers[slot] as number,
    name: name.nulls?.[slot] === 1 ? null : name.getText(slot),
    big: big.getInt64(slot),
    tags: tags.objects[slot] as readonly string[] | undefined,
  };
}

function bytesOf(keys: KeyBatch, k: number): Buffer {
  if (keys.layout.form !== "integer") return Buffer.from(keys.bytes.slice(keys.starts[k], keys.ends[k]));
  const bytes = Buffer.alloc(8);
  bytes.writeInt32LE(keys.low[k] as number, 0);
  bytes.writeInt32LE(keys.high[k] as number, 4);
  return bytes;
}

function rowOf(rows: Rows, kind: KeyKind): Record<string, unknown> {
  return Object.fromEntries(
    kind.schema.fields.map(({ name, index }) => {
      const column = rows.column(index);
      if (column.nulls?.[0] === 1) return [name, null];
      return [name, column.kind === "int64" ? column.getInt64(0) : column.getText(0)];
    }),
  );
}

const ttls: readonly (TimeToLive | undefined)[] = [
  undefined,
  { ttlMs: 100, time: "processing", refresh: "write" },
  { ttlMs: 100, time: "processing", refresh: "read-write" },
  { ttlMs: 100, time: "event", refresh: "write" },
];

async function checkAll(
  backend: SuiteBackend,
  kind: KeyKind,
  ttl: TimeToLive | undefined,
  all: fc.Arbitrary<Operation[]>,
  numRuns: number,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(all, fc.integer({ min: 1, max: 15 }), async (operations, splitAt) => {
      const checked = new Checked(backend, kind, ttl);
      await checked.opened.start();
      try {
        for (const op of operations) await checked.apply(op);
        await checked.expectRestored(splitAt);
      } finally {
        await checked.opened.stop();
      }
    }),
    { numRuns },
  );
}

export function keyedTableSuite(backend: SuiteBackend): void {
  describe("keyed table", () => {
    it("has a base that holds nothing but what there is, whatever comes and goes during its scan", async () => {
      await checkAll(backend, keyKinds[0] as KeyKind, undefined, fc.array(scanOperation, { maxLength: 40 }), backend.runs * 4);
    });

    it("keeps expired what a capture before the first watermark holds", async () => {
      const operations: Operation[] = [
        { kind: "update", keys: [0], namespaces: null, by: 1 },
        { kind: "capture" },
        { kind: "time", byMs: 1 },
        { kind: "time", byMs: 100 },
      ];
      const ttl: TimeToLive = { ttlMs: 100, time: "event", refresh: "write" };
      await checkAll(backend, keyKinds[0] as KeyKind, ttl, fc.constant(operations), 1);
    });

    for (const kind of keyKinds) {
      for (const ttl of ttls) {
        const named = ttl === undefined ? "no time to live" : `${ttl.time} time to live, refreshed on ${ttl.refresh}`;
        it(`holds what a map holds: ${kind.name} keys, ${named}`, async () => {
          await checkAll(backend, kind, ttl, fc.array(operation, { maxLength: 80 }), backend.runs);
        });
      }
    }
  });
}
