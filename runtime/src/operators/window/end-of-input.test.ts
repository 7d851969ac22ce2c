// The end of the input ends windows of the clock: what was counted until then is given out, whatever the clock says.
import { expect, test } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import { int32 } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { endOfTime } from "../../core/time/end-of-time.ts";
import { OperatorHarness } from "../../testing/operator-harness.ts";
import { count } from "../aggregate/call.ts";
import { windowAggregate } from "./window-aggregate.ts";
import type { WindowSpec } from "./window-spec.ts";

const input = schema({ k: int32() });

const factoryOf = (window: WindowSpec): OperatorFactory =>
  windowAggregate({ input, key: keyLayout(input, ["k"]), window, calls: { n: count() }, time: "processing" });

const rows = (...keys: readonly number[]): { readonly row: object }[] => keys.map((k) => ({ row: { k } }));
const shown = (harness: OperatorHarness): string[] =>
  harness
    .take<{ k: number; windowStart: number; windowEnd: number; n: number }>()
    .map(({ row, timeMs }) => `${row.k} ${row.windowStart}-${row.windowEnd} ${row.n} at ${timeMs}`)
    .sort();

test.each<[string, WindowSpec, readonly string[]]>([
  ["tumbling", { kind: "tumbling", sizeMs: 1000 }, ["1 1000000-1001000 2 at 1000999", "2 1000000-1001000 1 at 1000999"]],
  [
    "sliding",
    { kind: "sliding", sizeMs: 1000, slideMs: 500 },
    ["1 1000000-1001000 2 at 1000999", "1 999500-1000500 2 at 1000499", "2 1000000-1001000 1 at 1000999", "2 999500-1000500 1 at 1000499"],
  ],
  ["session", { kind: "session", gapMs: 700 }, ["1 1000003-1000703 2 at 1000702", "2 1000003-1000703 1 at 1000702"]],
])("%s windows", async (_name, window, expected) => {
  const harness = await OperatorHarness.open({ factory: factoryOf(window), inputs: [input], clock: new ManualClock(1_000_003) });
  harness.push(rows(1, 2, 1)).watermark(1_000_000_000);
  expect(shown(harness)).toEqual([]);
  harness.watermark(endOfTime);
  expect(shown(harness)).toEqual(expected);
  harness.advance(10_000);
  expect(shown(harness)).toEqual([]);
  await harness.close();
});

test("what goes on from a snapshot of the end begins anew", async () => {
  const factory = factoryOf({ kind: "tumbling", sizeMs: 1000 });
  const harness = await OperatorHarness.open({ factory, inputs: [input], clock: new ManualClock(1_000_003) });
  harness.push(rows(1)).watermark(endOfTime);
  const snapshot = harness.snapshot();
  await harness.close();
  const next = await OperatorHarness.open({ factory, inputs: [input], clock: new ManualClock(1_000_500), snapshot });
  next.push(rows(1));
  next.advance(1000);
  expect(shown(next)).toEqual(["1 1000000-1001000 1 at 1000999"]);
  await next.close();
});
