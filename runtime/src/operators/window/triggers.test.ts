// Triggers, count and global windows, processing time, and what is refused: each by a small stream whose results are written out.
import { describe, expect, test } from "vitest";
import { isMillraceError } from "../../base/errors.ts";
import { keyLayout } from "../../core/keys/key-layout.ts";
import { int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { HarnessGroup } from "../../testing/harness-group.ts";
import { type HarnessRow, OperatorHarness } from "../../testing/operator-harness.ts";
import { count, sum } from "../aggregate/call.ts";
import type { Trigger } from "./trigger.ts";
import { windowAggregate } from "./window-aggregate.ts";
import type { WindowAggregateParams } from "./window-params.ts";
import type { WindowSpec } from "./window-spec.ts";

const input = schema({ k: string(), v: int53() });
const calls = { n: count(), s: sum("v") };
const ten: WindowSpec = { kind: "tumbling", sizeMs: 10 };

type Options = Partial<WindowAggregateParams> & { readonly window: WindowSpec };
const open = (options: Options, snapshot?: ReturnType<OperatorHarness["snapshot"]>): Promise<OperatorHarness> =>
  OperatorHarness.open({
    factory: windowAggregate({ input, key: keyLayout(input, ["k"]), calls, lateOutput: "late", ...options }),
    inputs: [input],
    snapshot,
  });

const row = (k: string, v: number, timeMs?: number): HarnessRow => ({ row: { k, v }, ...(timeMs === undefined ? {} : { timeMs }) });
/** `kind key start-end n/s @time`. */
function shown(harness: OperatorHarness): string[] {
  return harness.take().map(({ row: out, kind, timeMs }) => {
    const bounds = out["windowStart"] === undefined ? "" : ` ${String(out["windowStart"])}-${String(out["windowEnd"])}`;
    const sign = { insert: "+I", updateBefore: "-U", updateAfter: "+U", delete: "-D" }[kind ?? "insert"];
    return `${sign} ${String(out["k"])}${bounds} ${String(out["n"])}/${String(out["s"])}${timeMs === undefined ? "" : ` @${timeMs}`}`;
  });
}

describe("triggers", () => {
  test("early by rows: early results, then the final one, each taking the one before back", async () => {
    const harness = await open({ window: ten, trigger: { kind: "early", everyRows: 2 } });
    harness.push([row("a", 1, 0), row("a", 2, 1), row("a", 3, 2), row("b", 9, 3)]);
    expect(shown(harness)).toEqual(["+I a 0-10 2/3 @9"]);
    harness.push([row("a", 4, 4), row("a", 5, 5)]).watermark(9);
    expect(shown(harness)).toEqual(["-U a 0-10 2/3 @9", "+U a 0-10 4/10 @9", "-U a 0-10 4/10 @9", "+U a 0-10 5/15 @9", "+I b 0-10 1/9 @9"]);
    harness.push([row("a", 1, 8)]);
    expect(shown(harness)).toEqual([]);
    expect(harness.take("late")).toHaveLength(1);
    await harness.close();
  });

  test("early by the clock: fires while there are new rows and not otherwise; upserts leave the old row out", async () => {
    const harness = await open({ window: ten, trigger: { kind: "early", everyMs: 100 }, firing: "upsert" });
    harness.push([row("a", 1, 0)]).advance(99);
    expect(shown(harness)).toEqual([]);
    harness.advance(1);
    expect(shown(harness)).toEqual(["+I a 0-10 1/1 @9"]);
    harness.advance(1000);
    expect(harness.operator.nextWakeMs?.()).toBe(Infinity);
    harness.push([row("a", 2, 1)]).advance(100);
    expect(shown(harness)).toEqual(["+U a 0-10 2/3 @9"]);
    // Nothing new since: the early result is the final one.
    harness.watermark(20);
    expect(shown(harness)).toEqual([]);
    await harness.close();
  });

  test("by the clock in session windows, over a restart", async () => {
    const options: Options = { window: { kind: "session", gapMs: 10 }, trigger: { kind: "processingTime", intervalMs: 50 } };
    const first = await open(options);
    first.push([row("a", 1, 0)]).advance(50);
    expect(shown(first)).toEqual(["+I a 0-10 1/1 @9"]);
    first.push([row("a", 2, 5)]);
    expect(shown(first)).toEqual(["-D a 0-10 1/1 @9"]);
    const second = await open(options, first.snapshot());
    await first.close();
    second.advance(100);
    expect(shown(second)).toEqual(["+I a 0-15 2/3 @14"]);
    second.push([row("a", 3, 24), row("a", 1, 15)]).watermark(33);
    expect(shown(second)).toEqual(["-D a 0-15 2/3 @14", "+I a 0-34 4/7 @33"]);
    await second.close();
  });

  test("of sessions that become one go on with the rows of all", async () => {
    const harness = await open({ window: { kind: "session", gapMs: 10 }, trigger: { kind: "early", everyRows: 4 }, firing: "append" });
    harness.push([row("a", 1, 0), row("a", 2, 20), row("a", 3, 21)]);
    expect(shown(harness)).toEqual([]);
    harness.push([row("a", 4, 10)]);
    expect(shown(harness)).toEqual(["+I a 0-31 4/10 @30"]);
    await harness.close();
  });

  test("continuous event time fires at its multiples, once for all that time jumped over, and at the end", async () => {
    const harness = await open({
      window: { kind: "tumbling", sizeMs: 100 },
      trigger: { kind: "continuousEventTime", intervalMs: 10 },
      firing: "append",
    });
    harness.push([row("a", 1, 3)]).watermark(9);
    expect(shown(harness)).toEqual([]);
    harness.watermark(10);
    expect(shown(harness)).toEqual(["+I a 0-100 1/1 @99"]);
    harness.push([row("a", 1, 12)]).watermark(55);
    expect(shown(harness)).toEqual(["+I a 0-100 2/2 @99"]);
    harness.watermark(1000);
    expect(shown(harness)).toEqual(["+I a 0-100 2/2 @99", "+I a 0-100 2/2 @99"]);
    await harness.close();
  });

  test("continuous event time goes on in a session that grows past the time at which it had nothing more to wait for", async () => {
    const harness = await open({
      window: { kind: "session", gapMs: 50 },
      trigger: { kind: "continuousEventTime", intervalMs: 100 },
    });
    harness.push([row("a", 1, 10), row("a", 1, 55), row("a", 1, 90)]).watermark(100);
    expect(shown(harness)).toEqual(["+I a 10-140 3/3 @139"]);
    // Growing takes back what stood; the next multiple is 200.
    harness.push([row("a", 1, 130), row("a", 1, 170)]).watermark(199);
    expect(shown(harness)).toEqual(["-D a 10-140 3/3 @139"]);
    harness.watermark(200);
    expect(shown(harness)).toEqual(["+I a 10-220 5/5 @219"]);
    await harness.close();
  });

  test("count in the global window, and purging: each result covers the rows since the one before", async () => {
    const purging = await open({ window: { kind: "global" }, trigger: { kind: "purging", of: { kind: "count", rows: 2 } } });
    purging.push([row("a", 1, 5), row("a", 2, 3), row("a", 3, 9), row("b", 1, 1), row("a", 4, 7)]);
    expect(shown(purging)).toEqual(["+I a 2/3 @5", "+I a 2/7 @9"]);
    await purging.close();
    const keeping = await open({ window: { kind: "global" }, trigger: { kind: "count", rows: 2 } });
    keeping.push([row("a", 1), row("a", 2), row("a", 3), row("a", 4)]);
    expect(shown(keeping)).toEqual(["+I a 2/3", "-U a 2/3", "+U a 4/10"]);
    await keeping.close();
  });

  test("of the user's own have state per window, which survives a restart", async () => {
    // Fires when the values since the last firing add up to 10, and 5 ms of event time after the first row.
    const trigger: Trigger = {
      onRow(view, timeMs, context) {
        const total = ((context.state as { total: number } | null)?.total ?? 0) + (view as { v: number }).v;
        if (context.state === null) context.registerEventTime(timeMs + 5);
        context.state = { total: total >= 10 ? 0 : total };
        return total >= 10 ? "fire" : "continue";
      },
      onEventTime: (timeMs, context) => (timeMs < context.window.endMs - 1 ? "fireAndPurge" : "continue"),
      onProcessingTime: () => "continue",
    };
    const options: Options = { window: { kind: "tumbling", sizeMs: 100 }, trigger: { kind: "custom", trigger }, firing: "append" };
    const first = await open(options);
    first.push([row("a", 6, 20)]);
    const second = await open(options, first.snapshot());
    await first.close();
    second.push([row("a", 3, 21), row("b", 9, 21), row("a", 1, 22)]);
    expect(shown(second)).toEqual(["+I a 0-100 3/10 @99"]);
    second.watermark(25);
    expect(shown(second)).toEqual(["+I a 0-100 3/10 @99"]);
    second.push([row("a", 7, 30)]).watermark(26);
    expect(shown(second)).toEqual(["+I b 0-100 1/9 @99"]);
    second.push([row("a", 4, 31)]);
    expect(shown(second)).toEqual(["+I a 0-100 2/11 @99"]);
    await second.close();
  });
});

describe("rows that are taken back", () => {
  test("leave a session that has given a result, and the result with the last of them", async () => {
    const harness = await open({ window: { kind: "session", gapMs: 10 }, retracting: true, latenessMs: 100 });
    const back = (v: number, timeMs: number): HarnessRow => ({ ...row("a", v, timeMs), kind: "delete" });
    harness.push([row("a", 1, 0), row("a", 2, 3), row("b", 1, 0), { ...row("b", 1, 0), kind: "updateBefore" }]).watermark(20);
    expect(shown(harness)).toEqual(["+I a 0-13 2/3 @12"]);
    harness.push([back(2, 3)]);
    expect(shown(harness)).toEqual(["-U a 0-13 2/3 @12", "+U a 0-13 1/1 @12"]);
    harness.push([back(1, 0)]);
    expect(shown(harness)).toEqual(["-D a 0-13 1/1 @12"]);
    await harness.close();
  });
});

describe("count windows", () => {
  test("side by side give every `size` rows of a key", async () => {
    const harness = await open({ window: { kind: "count", size: 3 } });
    harness.push([1, 2, 3, 4, 5, 6, 7].flatMap((v) => [row("a", v, v), row("b", 10 * v, v)]));
    expect(shown(harness)).toEqual(["+I a 3/6 @3", "+I b 3/60 @3", "+I a 3/15 @6", "+I b 3/150 @6"]);
    await harness.close();
  });

  test.each([
    [4, 2],
    [5, 3],
    [2, 5],
    [7, 1],
  ])("of %i rows every %i rows agree with slices of the rows, over a restart", async (size, slide) => {
    const options: Options = { window: { kind: "count", size, slide } };
    const values = Array.from({ length: 40 }, (_value, i) => (i * i) % 17);
    const first = await open(options);
    first.push(values.slice(0, 13).map((v, at) => row("a", v, 100 - at)));
    const out = shown(first);
    const second = await open(options, first.snapshot());
    await first.close();
    second.push(values.slice(13).map((v, at) => row("a", v, 100 - 13 - at)));
    out.push(...shown(second));
    await second.close();
    const expected: string[] = [];
    for (let end = slide; end <= values.length; end += slide) {
      const from = Math.max(0, end - size);
      const part = values.slice(from, end);
      expected.push(`+I a ${part.length}/${part.reduce((total, value) => total + value, 0)} @${100 - from}`);
    }
    expect(out).toEqual(expected);
  });
});

describe("processing time", () => {
  test("places rows by the clock, wakes at window ends, and goes on after a restart", async () => {
    const options: Options = { window: { kind: "sliding", sizeMs: 10, slideMs: 5 }, time: "processing" };
    const first = await open(options);
    first
      .advance(3)
      .push([row("a", 1)])
      .advance(4)
      .push([row("a", 2), row("b", 5)]);
    // The window that began at -5 ended at 5.
    expect(shown(first)).toEqual(["+I a -5-5 1/1 @4"]);
    const second = await OperatorHarness.open({
      factory: windowAggregate({ input, key: keyLayout(input, ["k"]), calls, ...options }),
      inputs: [input],
      snapshot: first.snapshot(),
      clock: first.clock,
    });
    await first.close();
    second.advance(2);
    expect(shown(second)).toEqual([]);
    second.advance(20);
    expect(shown(second).sort()).toEqual(["+I a 0-10 2/3 @9", "+I a 5-15 1/2 @14", "+I b 0-10 1/5 @9", "+I b 5-15 1/5 @14"]);
    expect(second.operator.nextWakeMs?.()).toBe(Infinity);
    await second.close();
  });

  test("sessions end a gap after the last row", async () => {
    const harness = await open({ window: { kind: "session", gapMs: 10 }, time: "processing" });
    harness
      .advance(5)
      .push([row("a", 1)])
      .advance(8)
      .push([row("a", 2)])
      .advance(9);
    expect(shown(harness)).toEqual([]);
    harness.advance(1);
    expect(shown(harness)).toEqual(["+I a 5-23 2/3 @22"]);
    await harness.close();
  });
});

describe("window aggregates", () => {
  test("without a key are one group", async () => {
    const harness = await OperatorHarness.open({
      factory: windowAggregate({ input, key: keyLayout(input, []), window: ten, calls, bounds: { start: "from", end: "to" } }),
      inputs: [input],
    });
    harness.push([row("a", 1, 1), row("b", 2, 2), row("c", 3, 12)]).watermark(100);
    expect(harness.take().map((out) => out.row)).toEqual([
      { from: 0, to: 10, n: 2, s: 3 },
      { from: 10, to: 20, n: 1, s: 3 },
    ]);
    await harness.close();
  });

  test("count late rows where no side output takes them, and pass them on unchanged where one does", async () => {
    const counting = await OperatorHarness.open({
      factory: windowAggregate({ input, key: keyLayout(input, ["k"]), window: ten, calls }),
      inputs: [input],
    });
    counting.watermark(50).push([row("a", 1, 1), row("a", 2, 60), row("a", 3, 49)]);
    expect(counting.counters.get("late_records_dropped")).toBe(2);
    await counting.close();
    const passing = await open({ window: ten });
    passing.watermark(50).push([row("a", 1, 1), row("a", 2, 60), row("a", 3, 49)]);
    expect(passing.take("late")).toEqual([
      { ...row("a", 1, 1), kind: "insert" },
      { ...row("a", 3, 49), kind: "insert" },
    ]);
    expect(passing.counters.get("late_records_dropped")).toBeUndefined();
    await passing.close();
  });

  test("hold no state once all windows are over", async () => {
    for (const window of [ten, { kind: "sliding", sizeMs: 10, slideMs: 3 }, { kind: "session", gapMs: 5 }] as const) {
      const harness = await open({ window, latenessMs: 7 });
      harness
        .push([row("a", 1, 1), row("b", 2, 22)])
        .watermark(24)
        .push([row("b", 2, 19)])
        .watermark(1000);
      const { blocks } = harness.snapshot();
      expect(blocks.filter(({ table }) => !table.includes("progress")).reduce((total, { entryCount }) => total + entryCount, 0)).toBe(0);
      await harness.close();
    }
  });

  test("fire once for each key group after a restore, though time had come differently far on the instances before", async () => {
    for (const window of [
      { kind: "sliding", sizeMs: 10, slideMs: 5 },
      { kind: "cumulate", sizeMs: 10, stepMs: 5 },
    ] as const) {
      const layout = keyLayout(input, ["k"]);
      const factory = windowAggregate({ input, key: layout, window, calls, lateOutput: "late" });
      let group = await HarnessGroup.open({ factory, inputs: [input], keys: [layout], parallelism: 2 });
      const keys = Array.from({ length: 20 }, (_value, i) => `key-${i}`);
      group.push(keys.map((key) => row(key, 1, 2)));
      const ahead = group.instances[0] as OperatorHarness;
      ahead.watermark(4);
      const early = ahead.take().map(({ row: out }) => out["k"]);
      expect(early.length).toBeGreaterThan(3);
      group = await group.restart(1);
      group.watermark(-5);
      expect(group.take()).toEqual([]);
      // What was late before is late now, and what was not is not.
      group.push(keys.map((key) => row(key, 1, -1)));
      expect(group.take("late").map(({ row: out }) => out["k"])).toEqual(keys.filter((key) => early.includes(key)));
      group.watermark(4);
      const next = group.take().filter(({ row: out }) => out["windowEnd"] === 5);
      expect(next.map(({ row: out }) => out["k"]).sort()).toEqual(keys.filter((key) => !early.includes(key)).sort());
      await group.close();
    }
  });

  test("go on after a drain: a snapshot at the end of time does not make later rows late", async () => {
    const first = await open({ window: ten });
    first.push([row("a", 1, 1)]).watermark(Number.MAX_SAFE_INTEGER);
    expect(shown(first)).toEqual(["+I a 0-10 1/1 @9"]);
    const second = await open({ window: ten }, first.snapshot());
    await first.close();
    second.push([row("a", 2, 11)]).watermark(19);
    expect(shown(second)).toEqual(["+I a 10-20 1/2 @19"]);
    await second.close();
  });

  test("refuse a row without a time, and specs that cannot be", async () => {
    const codeOf = (run: () => unknown): string => {
      try {
        run();
      } catch (error) {
        return isMillraceError(error) ? error.code : String(error);
      }
      return "nothing thrown";
    };
    const params = { input, key: keyLayout(input, ["k"]), calls };
    for (const window of [ten, { kind: "session", gapMs: 5 }] as const) {
      const harness = await open({ window });
      expect(codeOf(() => harness.push([row("a", 1)]))).toBe("ROW_WITHOUT_TIME");
      await harness.close();
    }
    const invalid: WindowSpec[] = [
      { kind: "tumbling", sizeMs: 0 },
      { kind: "tumbling", sizeMs: 5, offsetMs: 0.5 },
      { kind: "sliding", sizeMs: 1e9, slideMs: 1 },
      { kind: "cumulate", sizeMs: 10, stepMs: 3 },
      { kind: "session", gapMs: -1 },
      { kind: "count", size: 1.5 },
      { kind: "global" },
    ];
    for (const window of invalid) expect(codeOf(() => windowAggregate({ ...params, window }))).toBe("WINDOW_INVALID");
    expect(codeOf(() => windowAggregate({ ...params, window: { kind: "session", gapMs: 5 }, partial: true }))).toBe("WINDOW_INVALID");
    const trigger: Trigger = { onRow: () => "continue", onEventTime: () => "continue", onProcessingTime: () => "continue" };
    for (const bad of [{ kind: "early" }, { kind: "count", rows: 0 }, { kind: "custom", trigger }] as const) {
      expect(codeOf(() => windowAggregate({ ...params, window: { kind: "session", gapMs: 5 }, trigger: bad }))).toBe("TRIGGER_INVALID");
    }
  });
});
