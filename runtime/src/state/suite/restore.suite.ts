// The contract of restores: damaged blocks, changed tables and rescaling are met with an error that names what is wrong.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { isMillraceError } from "../../base/errors.ts";
import type { StateBlock, StateCapture, StoredTableSpec } from "../../core/ports/state-backend.ts";
import type { KeyedState, KeyedTable, TableSpec } from "../../core/ports/state.ts";
import { float64, int64, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import type { SuiteBackend } from "../state-backend.suite.ts";
import { type KeyKind, KeyMaker, keyKinds, storedState, takeCapture } from "./fixture.suite.ts";
import { Opened } from "./opened.suite.ts";

const integerKeys = keyKinds[0] as KeyKind;
const textKeys = keyKinds[1] as KeyKind;
const value = schema({ total: float64() });

/** A state with entries 0..count-1 of a kind of key, captured. */
async function captured(backend: SuiteBackend, kind: KeyKind, count: number): Promise<StateCapture> {
  const opened = await new Opened(backend.factory, (state: KeyedState) => state.table({ name: "t", key: kind.layout, value })).start();
  const numbers = Array.from({ length: count }, (_, i) => i);
  const slots = new Int32Array(count);
  opened.tables.findAll(new KeyMaker(kind).keys(numbers), null, slots, true);
  slots.forEach((slot, i) => {
    (opened.tables.columns[0] as { numbers: Float64Array }).numbers[slot] = i + 0.5;
  });
  opened.tables.touchAll(slots, count);
  const capture = takeCapture(opened.backend);
  await opened.stop();
  return capture;
}

async function restoreInto(
  backend: SuiteBackend,
  declare: (state: KeyedState) => void,
  capture: StateCapture,
  allowUnknownTables = false,
): Promise<void> {
  const opened = await new Opened(backend.factory, declare).start();
  try {
    await opened.backend.restore({ ...storedState(capture.tables, capture.blocks), allowUnknownTables });
  } finally {
    await opened.stop();
  }
}

const declareTable =
  (spec: Partial<TableSpec> = {}) =>
  (state: KeyedState): KeyedTable =>
    state.table({ name: "t", key: integerKeys.layout, value, ...spec });

async function errorOf(run: Promise<unknown>): Promise<unknown> {
  return run.then(
    () => undefined,
    (error: unknown) => error,
  );
}

export function restoreSuite(backend: SuiteBackend): void {
  it("refuses a block that is encoded in a way the manifest does not name: left out it would be lost", async () => {
    const { tables, blocks } = await captured(backend, integerKeys, 3);
    const other = structuredClone(tables[0] as StoredTableSpec);
    const error = await errorOf(
      restoreInto(backend, declareTable(), { tables, blocks: blocks.map((block) => ({ ...block, spec: other })) }),
    );
    expect(isMillraceError(error, "STATE_CORRUPT"), String(error)).toBe(true);
  });

  it("tells its size also after it was closed", async () => {
    const opened = await new Opened(backend.factory, declareTable()).start();
    expect(opened.backend.sizeBytes()).toMatchObject({ entries: 0 });
    await opened.stop();
    expect(opened.backend.sizeBytes()).toMatchObject({ disk: 0 });
  });

  describe("restore", () => {
    it("refuses any damaged block, whatever the damage", async () => {
      for (const kind of [integerKeys, textKeys]) {
        const capture = await captured(backend, kind, 30);
        const damaged = fc.record({
          block: fc.nat(capture.blocks.length - 1),
          damage: fc.oneof(
            fc.record({ kind: fc.constant("flip" as const), at: fc.nat(), mask: fc.integer({ min: 1, max: 255 }) }),
            fc.record({ kind: fc.constant("cut" as const), at: fc.nat() }),
            fc.record({ kind: fc.constant("append" as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 20 }) }),
            fc.record({ kind: fc.constant("count" as const), by: fc.constantFrom(-1, 1, 1000) }),
            fc.record({ kind: fc.constant("garbage" as const), bytes: fc.uint8Array({ maxLength: 60 }) }),
          ),
        });
        await fc.assert(
          fc.asyncProperty(damaged, async ({ block, damage }) => {
            const blocks = capture.blocks.map((one, i) => (i === block ? damagedBy(one, damage) : one));
            const error = await errorOf(
              restoreInto(backend, (state) => state.table({ name: "t", key: kind.layout, value }), { ...capture, blocks }),
            );
            expect(isMillraceError(error, "STATE_CORRUPT"), String(error)).toBe(true);
            expect(String(error)).toContain('table "t" of test');
          }),
          { numRuns: backend.runs },
        );
      }
    });

    it("refuses a block whose entries belong to another key group", async () => {
      const capture = await captured(backend, integerKeys, 30);
      const blocks = capture.blocks.map((block) => ({ ...block, keyGroup: (block.keyGroup + 1) % 16 }));
      const error = await errorOf(restoreInto(backend, declareTable(), { ...capture, blocks }));
      expect(isMillraceError(error, "STATE_CORRUPT"), String(error)).toBe(true);
    });

    it("refuses a stored table that is no longer declared, unless it may be dropped", async () => {
      const capture = await captured(backend, integerKeys, 5);
      const error = await errorOf(restoreInto(backend, declareTable({ name: "other" }), capture));
      expect(isMillraceError(error, "STATE_TABLE_UNKNOWN"), String(error)).toBe(true);
      expect(String(error)).toContain('"t" of test');
      await restoreInto(backend, declareTable({ name: "other" }), capture, true);
    });

    it("refuses another key, another form, and another kind of sub-key", async () => {
      const capture = await captured(backend, integerKeys, 5);
      const renamed = schema({ other: int64() });
      const changes: ((state: KeyedState) => void)[] = [
        declareTable({ key: textKeys.layout }),
        declareTable({ key: { form: "integer", schema: renamed, fieldIndexes: [0] } }),
        (state) => state.multiTable({ name: "t", key: integerKeys.layout, value, subKey: "number" }),
        (state) => state.timers("t", integerKeys.layout, "event"),
      ];
      for (const change of changes) {
        const error = await errorOf(restoreInto(backend, change, capture));
        expect(isMillraceError(error, "STATE_SCHEMA_INCOMPATIBLE"), String(error)).toBe(true);
        expect(String(error)).toContain('state table "t" of test');
      }
    });

    it("adds a field with its default, and refuses a changed one before the first entry", async () => {
      const capture = await captured(backend, integerKeys, 9);
      const opened = await new Opened(
        backend.factory,
        declareTable({ value: schema({ note: string().default("-"), total: float64() }) }),
      ).start();
      await opened.backend.restore(storedState(capture.tables, capture.blocks));
      const slots = new Int32Array(9);
      opened.tables.findAll(new KeyMaker(integerKeys).keys([0, 1, 2, 3, 4, 5, 6, 7, 8]), null, slots, false);
      const [note, total] = opened.tables.columns;
      expect([...slots].map((slot) => [note?.getText(slot), total?.numbers[slot]])).toEqual(
        [0, 1, 2, 3, 4, 5, 6, 7, 8].map((i) => ["-", i + 0.5]),
      );
      await opened.stop();
      let blocksRead = 0;
      const refused = await new Opened(backend.factory, declareTable({ value: schema({ total: string() }) })).start();
      const error = await errorOf(
        refused.backend.restore({
          tables: capture.tables,
          async *blocks(): AsyncGenerator<StateBlock> {
            blocksRead++;
            yield* capture.blocks;
          },
        }),
      );
      await refused.stop();
      expect(isMillraceError(error, "STATE_SCHEMA_INCOMPATIBLE"), String(error)).toBe(true);
      expect(String(error)).toContain('"total"');
      expect(blocksRead).toBe(0);
    });

    it("never shows what has expired, one by one or in a batch, however much has expired with it", async () => {
      const ttl = { ttlMs: 100, time: "processing", refresh: "write" } as const;
      const opened = await new Opened(backend.factory, declareTable({ ttl })).start();
      const maker = new KeyMaker(integerKeys);
      const numbers = Array.from({ length: 300 }, (_, i) => i);
      const slots = new Int32Array(300);
      opened.tables.findAll(maker.keys(numbers), null, slots, true);
      opened.clock.advance(100);
      for (const number of [299, 150, 7]) expect(opened.tables.find(maker.keys([number]), 0, 0, false)).toBe(-1);
      opened.tables.findAll(maker.keys([298, 151]), null, slots, false);
      expect([slots[0], slots[1]]).toEqual([-1, -1]);
      expect(opened.tables.namespaces()).toEqual([]);
      await opened.stop();
    });

    it("captures nothing when nothing changed, and only what changed", async () => {
      const opened = await new Opened(backend.factory, declareTable()).start();
      const maker = new KeyMaker(integerKeys);
      const slots = new Int32Array(30);
      const find = (numbers: readonly number[]): void => {
        opened.tables.findAll(maker.keys(numbers), null, slots, true);
        opened.tables.touchAll(slots, numbers.length);
      };
      const entryCount = (): number => opened.backend.capture().blocks.reduce((sum, block) => sum + block.entryCount, 0);
      find(Array.from({ length: 30 }, (_, i) => i));
      expect(entryCount()).toBe(30);
      expect(opened.backend.capture().blocks).toEqual([]);
      find([3, 4, 3]);
      expect(entryCount()).toBe(2);
      // Created and deleted between two captures: nothing is left to say.
      find([35]);
      opened.tables.delete(slots[0] as number);
      expect(entryCount()).toBe(0);
      find([3]);
      opened.tables.delete(slots[0] as number);
      expect(entryCount()).toBe(1);
      await opened.stop();
    });
  });
}

type Damage =
  | { readonly kind: "flip"; readonly at: number; readonly mask: number }
  | { readonly kind: "cut"; readonly at: number }
  | { readonly kind: "append" | "garbage"; readonly bytes: Uint8Array }
  | { readonly kind: "count"; readonly by: number };

function damagedBy(block: StateBlock, damage: Damage): StateBlock {
  const bytes = Buffer.from(block.bytes);
  switch (damage.kind) {
    case "flip":
      bytes[damage.at % bytes.length] = (bytes[damage.at % bytes.length] as number) ^ damage.mask;
      return { ...block, bytes };
    case "cut":
      return { ...block, bytes: bytes.subarray(0, damage.at % bytes.length) };
    case "append":
      return { ...block, bytes: Buffer.concat([bytes, damage.bytes]) };
    case "garbage":
      return { ...block, bytes: damage.bytes };
    case "count":
      return { ...block, entryCount: Math.max(0, block.entryCount + damage.by) };
  }
}
