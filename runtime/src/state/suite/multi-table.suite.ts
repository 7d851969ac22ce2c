// The contract of tables with several entries per key.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { KeyedMultiTable, KeyedState, SubKey, TimeToLive } from "../../core/ports/state.ts";
import { float64 } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import type { SuiteBackend } from "../state-backend.suite.ts";
import { allKeyGroups, type KeyKind, KeyMaker, keyKinds } from "./fixture.suite.ts";
import { Opened } from "./opened.suite.ts";

const valueSchema = schema({ total: float64() });

interface Item {
  readonly subKey: SubKey;
  total: number;
  stampMs: number;
}

type Operation =
  | { readonly kind: "upsert"; readonly key: number; readonly namespace: number; readonly subs: readonly number[]; readonly by: number }
  | { readonly kind: "find" | "delete"; readonly key: number; readonly namespace: number; readonly sub: number }
  | { readonly kind: "entries" | "deleteAll"; readonly key: number; readonly namespace: number }
  | { readonly kind: "visitAll" | "capture" | "startBase" | "restart" }
  | { readonly kind: "slice"; readonly maxBytes: number }
  | { readonly kind: "time"; readonly byMs: number };

const keyCount = 12;
const namespaceValues = [0, 7, -60_000];
const at = { key: fc.nat(keyCount - 1), namespace: fc.constantFrom(...namespaceValues) };
const sub = fc.nat(15);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      kind: fc.constant("upsert" as const),
      ...at,
      subs: fc.array(sub, { minLength: 1, maxLength: 8 }),
      by: fc.integer({ min: -9, max: 9 }),
    }),
  },
  { weight: 6, arbitrary: fc.record({ kind: fc.constantFrom("find" as const, "delete" as const), ...at, sub }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("entries" as const), ...at }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("deleteAll" as const), ...at }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constantFrom("visitAll" as const, "capture" as const, "capture" as const, "startBase" as const) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("slice" as const), maxBytes: fc.constantFrom(1, 60, 100_000) }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("time" as const), byMs: fc.integer({ min: 1, max: 60 }) }) },
);

const numberSubKeys = [0, -1, 5, 2 ** 40, -(2 ** 40), Number.MAX_SAFE_INTEGER];
const subKeyKinds = {
  number: (i: number): SubKey => numberSubKeys[i] ?? i,
  string: (i: number): SubKey => ["", "ä", "\u{1F600}", "￿", "z".repeat(80)][i] ?? `s${i}`,
};

function compare(a: SubKey, b: SubKey): number {
  return typeof a === "number" ? a - (b as number) : Buffer.compare(Buffer.from(a), Buffer.from(b as string));
}

class Checked {
  readonly opened: Opened<KeyedMultiTable>;
  /** Per (namespace, key), its items in insertion order. */
  readonly model = new Map<string, Item[]>();
  readonly #maker: KeyMaker;
  readonly #ttl: TimeToLive | undefined;
  readonly #subKey: (i: number) => SubKey;
  #watermarkMs = Number.NEGATIVE_INFINITY;

  constructor(backend: SuiteBackend, kind: KeyKind, subKind: "number" | "string", ttl: TimeToLive | undefined) {
    this.#maker = new KeyMaker(kind);
    this.#ttl = ttl;
    this.#subKey = subKeyKinds[subKind];
    this.opened = new Opened(backend.factory, (state: KeyedState) =>
      state.multiTable({ name: "m", key: kind.layout, value: valueSchema, subKey: subKind, ...(ttl === undefined ? {} : { ttl }) }),
    );
  }

  get #table(): KeyedMultiTable {
    return this.opened.tables;
  }

  #id(key: number, namespace: number): string {
    const keys = this.#maker.keys([key]);
    const bytes =
      this.#maker.kind.layout.form === "integer"
        ? `${keys.high[0]}:${keys.low[0]}`
        : Buffer.from(keys.bytes.slice(keys.starts[0], keys.ends[0])).toString("hex");
    return `${namespace} ${bytes}`;
  }

  #idOfSlot(slot: number): string {
    const bytes = Buffer.from(this.#table.keyBytes(slot));
    return `${this.#table.namespaceOf(slot)} ${this.#maker.kind.layout.form === "integer" ? `${bytes.readInt32LE(4)}:${bytes.readInt32LE(0)}` : bytes.toString("hex")}`;
  }

  #nowMs(): number {
    return this.#ttl?.time === "event" ? this.#watermarkMs : this.opened.clock.now();
  }

  #advanceWatermark(byMs: number): void {
    const first = this.#watermarkMs === Number.NEGATIVE_INFINITY;
    this.#watermarkMs = first ? 5000 : this.#watermarkMs + byMs;
    // What was written before the first watermark is as old as it.
    if (first) for (const items of this.model.values()) for (const item of items) item.stampMs = this.#watermarkMs;
    this.opened.backend.onWatermark(this.#watermarkMs);
  }

  #refreshByRead(item: Item | undefined): void {
    if (item !== undefined && this.#ttl?.refresh === "read-write") item.stampMs = this.#nowMs();
  }

  #forgetExpired(): void {
    const { ttlMs } = this.#ttl ?? {};
    const nowMs = this.#nowMs();
    if (ttlMs === undefined || nowMs === Number.NEGATIVE_INFINITY) return;
    for (const [id, items] of this.model)
      this.#keep(
        id,
        items.filter((item) => item.stampMs + ttlMs > nowMs),
      );
  }

  #keep(id: string, items: Item[]): void {
    if (items.length === 0) this.model.delete(id);
    else this.model.set(id, items);
  }

  #total(slot: number): number {
    return this.#table.columns[0]?.numbers[slot] as number;
  }

  #upsert(op: Operation & { kind: "upsert" }): void {
    const nowMs = this.#nowMs();
    const id = this.#id(op.key, op.namespace);
    for (const i of op.subs) {
      const subKey = this.#subKey(i);
      const items = this.model.get(id) ?? [];
      const item = items.find((other) => other.subKey === subKey) ?? { subKey, total: 0, stampMs: nowMs };
      const slot = this.#table.upsert(this.#maker.keys([0, op.key]), 1, op.namespace, subKey);
      expect(this.#total(slot)).toBe(item.total);
      expect(this.#table.subKeyOf(slot)).toBe(subKey);
      if (!items.includes(item)) items.push(item);
      item.total += op.by;
      item.stampMs = nowMs;
      (this.#table.columns[0] as { numbers: Float64Array }).numbers[slot] = item.total;
      this.model.set(id, items);
    }
  }

  #find(op: Operation & { kind: "find" | "delete" }): void {
    const id = this.#id(op.key, op.namespace);
    const subKey = this.#subKey(op.sub);
    const slot = this.#table.find(this.#maker.keys([op.key]), 0, op.namespace, subKey);
    const item = this.model.get(id)?.find((other) => other.subKey === subKey);
    expect(slot >= 0 ? this.#total(slot) : undefined).toBe(item?.total);
    this.#refreshByRead(item);
    if (slot < 0 || item === undefined) return;
    expect(this.#idOfSlot(slot)).toBe(id);
    if (op.kind === "delete") {
      this.#table.delete(slot);
      this.#keep(
        id,
        (this.model.get(id) ?? []).filter((other) => other !== item),
      );
    } else if (op.sub % 2 === 0) {
      item.total += 1;
      (this.#table.columns[0] as { numbers: Float64Array }).numbers[slot] = item.total;
      item.stampMs = this.#nowMs();
      this.#table.touch(slot);
    }
  }

  #expectEntries(key: number, namespace: number): void {
    const { slots, count } = this.#table.entriesOf(this.#maker.keys([key]), 0, namespace);
    const found = [...slots.subarray(0, count)].map((slot) => ({ subKey: this.#table.subKeyOf(slot), total: this.#total(slot) }));
    const items = this.model.get(this.#id(key, namespace)) ?? [];
    expect(found).toEqual(items.map(({ subKey, total }) => ({ subKey, total })));
    for (const item of items) this.#refreshByRead(item);
  }

  #all(): string[] {
    const seen: string[] = [];
    this.#table.visitAll((slots, count) => {
      for (let i = 0; i < count; i++) {
        const slot = slots[i] as number;
        seen.push(`${this.#idOfSlot(slot)} ${this.#table.subKeyOf(slot)} ${this.#total(slot)}`);
      }
    });
    return seen.sort();
  }

  #expected(): string[] {
    return [...this.model].flatMap(([id, items]) => items.map(({ subKey, total }) => `${id} ${subKey} ${total}`)).sort();
  }

  async apply(op: Operation): Promise<void> {
    this.#forgetExpired();
    const { chain, backend } = this.opened;
    if (op.kind === "upsert") this.#upsert(op);
    else if (op.kind === "find" || op.kind === "delete") this.#find(op);
    else if (op.kind === "entries") this.#expectEntries(op.key, op.namespace);
    else if (op.kind === "deleteAll") {
      this.#table.deleteAll(this.#maker.keys([op.key]), 0, op.namespace);
      this.model.delete(this.#id(op.key, op.namespace));
    } else if (op.kind === "visitAll") expect(this.#all()).toEqual(this.#expected());
    else if (op.kind === "capture") chain.capture(backend);
    else if (op.kind === "startBase") chain.startBase(backend);
    else if (op.kind === "slice") chain.slice(op.maxBytes);
    else if (op.kind === "time") {
      this.opened.clock.advance(op.byMs);
      if (this.#ttl?.time === "event") this.#advanceWatermark(op.byMs);
    } else {
      await this.opened.restart();
      if (this.#ttl?.time === "event") this.opened.backend.onWatermark(this.#watermarkMs);
      // A restored key has its entries in the order of their sub-keys.
      for (const items of this.model.values()) items.sort((a, b) => compare(a.subKey, b.subKey));
      for (let key = 0; key < keyCount; key++) for (const namespace of namespaceValues) this.#expectEntries(key, namespace);
    }
    if (this.#ttl === undefined) expect(this.#table.size).toBe([...this.model.values()].reduce((sum, items) => sum + items.length, 0));
  }

  async expectRestored(splitAt: number): Promise<void> {
    this.opened.chain.capture(this.opened.backend);
    this.#forgetExpired();
    const seen: string[] = [];
    const parts = await this.opened.restored([
      { from: 0, to: splitAt },
      { from: splitAt, to: allKeyGroups.to },
    ]);
    for (const part of parts) {
      if (this.#ttl?.time === "event") part.backend.onWatermark(this.#watermarkMs);
      this.opened.tables = part.tables;
      seen.push(...this.#all());
      await part.backend.close();
    }
    expect(seen.sort()).toEqual(this.#expected());
  }
}

export function multiTableSuite(backend: SuiteBackend): void {
  describe("table with several entries per key", () => {
    const eventTtl: TimeToLive = { ttlMs: 100, time: "event", refresh: "read-write" };
    const ttl: TimeToLive = { ttlMs: 100, time: "processing", refresh: "write" };
    const cases: readonly [string, "number" | "string", TimeToLive | undefined][] = [
      ["integer", "number", undefined],
      ["text", "string", undefined],
      ["pair", "number", ttl],
      ["integer", "string", ttl],
      ["text", "number", eventTtl],
    ];
    for (const [kindName, subKind, caseTtl] of cases) {
      const kind = keyKinds.find(({ name }) => name === kindName) as KeyKind;
      it(`holds what a map of lists holds: ${kindName} keys, ${subKind} sub-keys${caseTtl === undefined ? "" : `, ${caseTtl.time} time to live`}`, async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(operation, { maxLength: 80 }), fc.integer({ min: 1, max: 15 }), async (operations, splitAt) => {
            const checked = new Checked(backend, kind, subKind, caseTtl);
            await checked.opened.start();
            try {
              for (const op of operations) await checked.apply(op);
              await checked.expectRestored(splitAt);
            } finally {
              await checked.opened.stop();
            }
          }),
          { numRuns: backend.runs },
        );
      });
    }
  });
}
