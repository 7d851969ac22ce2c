// transformWithState: typed state, timers of event and processing time and time to live per key, over batches and restarts.
import { describe, expect, test } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { state } from "../../core/handles/declarations.ts";
import { values } from "../../connectors/memory/index.ts";
import { int53, string, timestamp } from "../../core/schema/field.ts";
import { type RowType, schema } from "../../core/schema/schema.ts";
import type { DataFrame } from "../../dataframe/data-frame.ts";
import { count } from "../../dataframe/expression/functions.ts";
import { Session } from "../../dataframe/session.ts";
import { runBatchQuery } from "./batch-query.ts";
import { testInput, withHarness } from "./testing/query-harness.suite.ts";

const Beat = schema({ device: string(), at: timestamp() });
type Beat = RowType<typeof Beat>;
const Told = schema({ device: string(), what: string(), beats: int53() });
const beat = (device: string, atSeconds: number): Beat => ({ device, at: atSeconds * 1000 });
const text = (rows: readonly RowType<typeof Told>[]): readonly string[] =>
  rows.map((row) => `${row.device} ${row.what} ${row.beats}`).sort();

/** Says how many beats a device had, and when it has been silent for 10 s of event time. */
function watched(beats: DataFrame<Beat>): DataFrame<RowType<typeof Told>> {
  return beats.groupBy("device").transformWithState(
    {
      onRow(row, context) {
        const beatsSoFar = (context.state.beats.get() ?? 0) + 1;
        context.state.beats.set(beatsSoFar);
        context.state.last.set(row.at);
        context.timers.onEventTime(row.at + 10_000);
        context.emit({ device: context.key.device, what: "beat", beats: beatsSoFar });
      },
      onTimer(timer, context) {
        if (timer.timeMs !== (context.state.last.get() ?? 0) + 10_000) return;
        context.emit({ device: context.key.device, what: "silent", beats: context.state.beats.get() ?? 0 });
        context.state.beats.clear();
      },
    },
    { output: Told, state: { beats: state.value(int53()), last: state.value(int53()) }, name: "watched" },
  );
}

describe("transformWithState", () => {
  test("keeps state per key from batch to batch, and over restarts", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "beats", Beat);
      const run = await open(watched(input.frame.withWatermark("at", "5 s")));
      expect(text(await run.feed(input, beat("a", 1), beat("a", 2), beat("b", 2)))).toEqual(["a beat 1", "a beat 2", "b beat 1"]);
      await run.restart();
      expect(text(await run.feed(input, beat("a", 3)))).toEqual(["a beat 3"]);
    }));

  test("fires timers of event time when the watermark has reached them, also by a batch without records", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "beats", Beat);
      const run = await open(watched(input.frame.withWatermark("at", "5 s")));
      await run.feed(input, beat("a", 1), beat("b", 8));
      // 16 s make the watermark 11 s, which is a's last beat and ten seconds; b's is at 18 s.
      expect(text(await run.feed(input, beat("c", 16)))).toEqual(["a silent 1", "c beat 1"]);
      expect(run.progress.at(-1)?.numInputRows).toBe(0);
    }));

  test("fires timers of processing time with the batches that are due for them", () =>
    withHarness(async (session, open) => {
      const clock = new ManualClock(1_000_000);
      const input = testInput(session, "beats", Beat);
      const frame = input.frame.groupBy("device").transformWithState(
        {
          onRow(_row, context) {
            context.timers.onProcessingTime(context.now + 60_000);
          },
          onTimer(timer, context) {
            context.emit({ device: context.key.device, what: timer.time, beats: timer.timeMs });
          },
        },
        { output: Told },
      );
      const run = await open(frame, { clock });
      expect(await run.feed(input, beat("a", 1))).toEqual([]);
      clock.advance(59_999);
      expect(await run.drain()).toEqual([]);
      clock.advance(1);
      expect(text(await run.drain())).toEqual(["a processing 1060000"]);
    }));

  test("takes keys that are computed, and its rows can be aggregated", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "beats", Beat);
      const frame = input.frame
        .groupBy((c) => ({ first: c.device.cast<string>("VARCHAR(1)") }))
        .transformWithState(
          {
            onRow(_row, context) {
              context.emit({ device: context.key.first, what: "x", beats: 1 });
            },
          },
          { output: Told },
        )
        .groupBy("device")
        .agg(() => ({ n: count() }));
      const run = await open(frame, { mode: "update" });
      expect(await run.feed(input, beat("a", 1), beat("a", 2), beat("b", 1))).toEqual(
        expect.arrayContaining([
          { device: "a", n: 2 },
          { device: "b", n: 1 },
        ]),
      );
    }));

  test("in complete mode is refused", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "beats", Beat);
      const frame = watched(input.frame)
        .groupBy("device")
        .agg(() => ({ n: count() }));
      await expect(open(frame, { mode: "complete" })).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
    }));

  test("over a batch runs once, and its timers fire at the end of the input", async () => {
    const session = new Session();
    let rows: readonly RowType<typeof Told>[] = [];
    await runBatchQuery(
      watched(session.read(values(Beat, [beat("a", 1), beat("a", 2), beat("b", 3)]), { name: "beats" })).write({
        kind: "foreachBatch",
        fn: (batch) => {
          rows = batch.rows();
        },
      }),
    );
    expect(text(rows)).toEqual(["a beat 1", "a beat 2", "a silent 2", "b beat 1", "b silent 1"]);
  });
});
