// The contract of timers: they fire once, in time order, with what was registered meanwhile, and they are state.
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { KeyedState, Timers } from "../../core/ports/state.ts";
import type { SuiteBackend } from "../state-backend.suite.ts";
import { allKeyGroups, KeyMaker, keyKinds } from "./fixture.suite.ts";
import { Opened } from "./opened.suite.ts";

type Operation =
  | { readonly kind: "register" | "delete"; readonly key: number; readonly namespace: number; readonly timeMs: number }
  | { readonly kind: "fire"; readonly untilMs: number; readonly chainEvery: number }
  | { readonly kind: "capture" | "startBase" | "restart" }
  | { readonly kind: "slice"; readonly maxBytes: number };

// Few keys and times, so that timers are often registered twice, or meet a deletion.
const someTime = fc.integer({ min: -2, max: 9 }).map((n) => n * 20);
const at = { key: fc.nat(4), namespace: fc.constantFrom(0, 0, 3, -1000), timeMs: someTime };
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 10, arbitrary: fc.record({ kind: fc.constant("register" as const), ...at }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("delete" as const), ...at }) },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("fire" as const),
      untilMs: someTime,
      chainEvery: fc.integer({ min: 2, max: 5 }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom("capture" as const, "startBase" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("restart" as const) }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("slice" as const), maxBytes: fc.constantFrom(1, 60, 100_000) }) },
);

function keyId(keys: KeyBatch, k: number): string {
  return keys.layout.form === "integer"
    ? `${keys.high[k]}:${keys.low[k]}`
    : Buffer.from(keys.bytes.slice(keys.starts[k], keys.ends[k])).toString("hex");
}

export function timersSuite(backend: SuiteBackend): void {
  describe("timers", () => {
    for (const kind of keyKinds) {
      it(`fire what a sorted set holds: ${kind.name} keys`, async () => {
        await fc.assert(
          fc.asyncProperty(fc.array(operation, { maxLength: 80 }), fc.integer({ min: 1, max: 15 }), async (operations, splitAt) => {
            const maker = new KeyMaker(kind);
            const opened = await new Opened(
              backend.factory,
              (state: KeyedState): Timers => state.timers("timers", kind.layout, "event"),
            ).start();
            const model = new Set<string>();
            const idOf = (keys: KeyBatch, k: number, namespace: number, timeMs: number): string =>
              `${timeMs} ${namespace} ${keyId(keys, k)}`;
            const timeOf = (id: string): number => Number(id.split(" ")[0]);
            const fire = (untilMs: number, chainEvery: number): void => {
              let lastMs = Number.NEGATIVE_INFINITY;
              let fired = 0;
              const other = new KeyMaker(kind);
              opened.tables.fire(untilMs, (keys, namespace, timeMs) => {
                expect(keys.count).toBe(1);
                expect(timeMs).toBeGreaterThanOrEqual(lastMs);
                lastMs = timeMs;
                expect(model.delete(idOf(keys, 0, namespace, timeMs)), `${idOf(keys, 0, namespace, timeMs)} fired`).toBe(true);
                if (fired++ % chainEvery !== 0) return;
                // Registers a later timer for its own key, and takes another key's away.
                opened.tables.register(keys, 0, namespace, timeMs + 7);
                model.add(idOf(keys, 0, namespace, timeMs + 7));
                const victim = other.keys([fired % 5]);
                opened.tables.delete(victim, 0, 0, timeMs);
                model.delete(idOf(victim, 0, 0, timeMs));
              });
              expect([...model].filter((id) => timeOf(id) <= untilMs)).toEqual([]);
            };
            try {
              for (const op of operations) {
                const { chain } = opened;
                if (op.kind === "register" || op.kind === "delete") {
                  const keys = maker.keys([11, op.key]);
                  opened.tables[op.kind](keys, 1, op.namespace, op.timeMs);
                  if (op.kind === "register") model.add(idOf(keys, 1, op.namespace, op.timeMs));
                  else model.delete(idOf(keys, 1, op.namespace, op.timeMs));
                } else if (op.kind === "fire") fire(op.untilMs, op.chainEvery);
                else if (op.kind === "capture") chain.capture(opened.backend);
                else if (op.kind === "startBase") chain.startBase(opened.backend);
                else if (op.kind === "slice") chain.slice(op.maxBytes);
                else await opened.restart();
                expect(opened.tables.size).toBe(model.size);
                expect(opened.tables.nextMs()).toBe(Math.min(...[...model].map(timeOf)));
              }
              opened.chain.capture(opened.backend);
              const fired: string[] = [];
              const parts = await opened.restored([
                { from: 0, to: splitAt },
                { from: splitAt, to: allKeyGroups.to },
              ]);
              for (const part of parts) {
                part.tables.fire(Number.MAX_SAFE_INTEGER, (keys, namespace, timeMs) => fired.push(idOf(keys, 0, namespace, timeMs)));
                await part.backend.close();
              }
              expect(fired.sort()).toEqual([...model].sort());
            } finally {
              await opened.stop();
            }
          }),
          { numRuns: backend.runs },
        );
      });
    }
  });
}
