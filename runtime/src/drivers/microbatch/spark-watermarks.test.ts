// Spark's published rules for watermarks, windows and output modes, a case each. The rules are those of the Structured Streaming
// Programming Guide (APIs on DataFrames, sections "Window Operations on Event Time", "Handling Late Data and Watermarking", "Policy for
// handling multiple watermarks", "Output Modes"); every case names its own. Expected values are worked out from the rule by hand.
import { describe, expect, test } from "vitest";
import { int53, string, timestamp } from "../../core/schema/field.ts";
import { type RowType, schema } from "../../core/schema/schema.ts";
import type { DataFrame } from "../../dataframe/data-frame.ts";
import { count, max, sum, window } from "../../dataframe/expression/functions.ts";
import { testInput, withHarness } from "./testing/query-harness.suite.ts";

const Word = schema({ word: string(), at: timestamp(), n: int53() });
type Word = RowType<typeof Word>;
const word = (text: string, atSeconds: number, n = 1): Word => ({ word: text, at: atSeconds * 1000, n });

/** Counts of words in ten seconds, ten seconds of lateness. */
function counted(
  frame: DataFrame<Word>,
): DataFrame<{ readonly w_start: number; readonly w_end: number; readonly word: string; readonly n: number }> {
  return frame
    .withWatermark("at", "10 s")
    .groupBy((c) => ({ w: window(c.at, "10 s"), word: c.word }))
    .agg(() => ({ n: count() }));
}

const brief = (rows: readonly { readonly w_start: number; readonly word: string; readonly n: number }[]): readonly string[] =>
  rows.map((row) => `${row.w_start / 1000} ${row.word} ${row.n}`).sort();

describe("watermark", () => {
  test("is the latest event time seen, less the delay", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame));
      await run.feed(input, word("a", 35), word("a", 20));
      await run.feed(input, word("a", 36));
      expect(run.progress.at(-2)?.eventTime["watermark"]).toBe("1970-01-01T00:00:25.000Z");
    }));

  test("of a batch is computed from the batches before it: rows of one batch are not late by each other", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame), { mode: "update" });
      // 100 s in the same batch: by itself it would make 5 s late.
      expect(brief(await run.feed(input, word("new", 100), word("old", 5)))).toEqual(["0 old 1", "100 new 1"]);
      expect(run.lateRows).toBe(0);
    }));

  test("never goes back", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame));
      await run.feed(input, word("a", 50));
      await run.feed(input, word("a", 45));
      await run.feed(input, word("a", 46));
      expect(run.progress.at(-1)?.eventTime["watermark"]).toBe("1970-01-01T00:00:40.000Z");
    }));

  test("rows of a window that ends at or before the watermark are late and dropped", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame), { mode: "update" });
      await run.feed(input, word("a", 30));
      // The watermark is 20 s: window [10, 20) ends at it.
      expect(await run.feed(input, word("late", 19))).toEqual([]);
      expect(run.lateRows).toBe(1);
    }));

  test("a row behind the watermark whose window is still open counts", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame), { mode: "update" });
      await run.feed(input, word("a", 35));
      // The watermark is 25 s, the row is at 21 s, and its window [20, 30) is not over.
      expect(brief(await run.feed(input, word("b", 21)))).toEqual(["20 b 1"]);
      expect(run.lateRows).toBe(0);
    }));

  test("a row without event time is in no window", () =>
    withHarness(async (session, open) => {
      const Maybe = schema({ word: string(), at: timestamp().nullable(), n: int53() });
      const input = testInput(session, "words", Maybe);
      const frame = input.frame
        .withWatermark("at", "10 s")
        .groupBy((c) => ({ w: window(c.at, "10 s"), word: c.word }))
        .agg(() => ({ n: count() }));
      const run = await open(frame, { mode: "update" });
      expect(brief(await run.feed(input, { word: "a", at: null, n: 1 }, { word: "b", at: 5000, n: 1 }))).toEqual(["0 b 1"]);
    }));

  test("survives a restart: what was late stays late", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame), { mode: "update" });
      await run.feed(input, word("a", 30));
      await run.restart();
      expect(await run.feed(input, word("late", 19))).toEqual([]);
      expect(run.lateRows).toBe(1);
      expect(brief(await run.feed(input, word("b", 21)))).toEqual(["20 b 1"]);
    }));

  test("a delay of zero makes every row behind the latest of earlier batches late by its window", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const frame = input.frame
        .withWatermark("at", 0)
        .groupBy((c) => ({ w: window(c.at, "10 s"), word: c.word }))
        .agg(() => ({ n: count() }));
      const run = await open(frame, { mode: "update" });
      await run.feed(input, word("a", 20));
      expect(await run.feed(input, word("b", 19))).toEqual([]);
      expect(run.lateRows).toBe(1);
    }));
});

describe("several watermarks", () => {
  async function unite(policy: "min" | "max" | undefined): Promise<string | undefined> {
    let watermark: string | undefined;
    await withHarness(async (session, open) => {
      const fast = testInput(session, "fast", Word);
      const slow = testInput(session, "slow", Word);
      const both = fast.frame.withWatermark("at", "10 s").union(slow.frame.withWatermark("at", "10 s"));
      const frame = both.groupBy((c) => ({ w: window(c.at, "10 s"), word: c.word })).agg(() => ({ n: count() }));
      const run = await open(frame, { mode: "update", ...(policy === undefined ? {} : { multipleWatermarkPolicy: policy }) });
      fast.source.push(word("f", 100));
      slow.source.push(word("s", 50));
      await run.drain();
      watermark = run.progress.at(-1)?.eventTime["watermark"];
    });
    return watermark;
  }

  test("make the least of them, by default: the slower input loses nothing", async () => {
    expect(await unite(undefined)).toBe("1970-01-01T00:00:40.000Z");
  });

  test("make the greatest of them where the policy is max", async () => {
    expect(await unite("max")).toBe("1970-01-01T00:01:30.000Z");
  });

  test("do not move while one input has given no row", () =>
    withHarness(async (session, open) => {
      const fast = testInput(session, "fast", Word);
      const slow = testInput(session, "slow", Word);
      const both = fast.frame.withWatermark("at", "10 s").union(slow.frame.withWatermark("at", "10 s"));
      const run = await open(both.groupBy((c) => ({ w: window(c.at, "10 s"), word: c.word })).agg(() => ({ n: count() })));
      expect(await run.feed(fast, word("f", 100))).toEqual([]);
      expect(await run.feed(fast, word("f", 200))).toEqual([]);
      // 105 s is the least of 190 s and 105 s: window [100, 110) is still open.
      expect(await run.feed(slow, word("s", 115))).toEqual([]);
      expect(brief(await run.feed(slow, word("s", 125)))).toEqual(["100 f 1"]);
    }));
});

describe("append mode", () => {
  test("gives a window's result once, when the watermark has passed its end", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame));
      expect(await run.feed(input, word("a", 1), word("a", 2))).toEqual([]);
      expect(await run.feed(input, word("b", 19))).toEqual([]);
      // The watermark of the batch after is 10 s: [0, 10) is complete.
      expect(brief(await run.feed(input, word("c", 20)))).toEqual(["0 a 2"]);
      expect(brief(await run.feed(input, word("c", 40)))).toEqual(["10 b 1", "20 c 1"]);
    }));

  test("a window that ends exactly at the watermark is complete", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame));
      await run.feed(input, word("a", 9));
      expect(brief(await run.feed(input, { word: "b", at: 19_999, n: 1 }))).toEqual([]);
      expect(brief(await run.feed(input, { word: "b", at: 20_000, n: 1 }))).toEqual(["0 a 1"]);
    }));

  test("a row that comes before its window is given out is in the result", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame));
      await run.feed(input, word("a", 1));
      await run.feed(input, word("b", 15));
      await run.feed(input, word("a", 3));
      expect(brief(await run.feed(input, word("b", 21)))).toEqual(["0 a 2"]);
    }));

  test("nothing is given twice after a restart", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame));
      await run.feed(input, word("a", 1));
      await run.feed(input, word("b", 25));
      expect(brief(run.written)).toEqual(["0 a 1"]);
      await run.restart();
      await run.feed(input, word("c", 45));
      expect(brief(run.written)).toEqual(["0 a 1", "20 b 1"]);
    }));

  test("an aggregate without a watermark is refused, with the reason", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const frame = input.frame.groupBy("word").agg(() => ({ n: count() }));
      await expect(open(frame)).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED", message: expect.stringMatching(/watermark/) });
    }));

  test("a watermark on another column than the window's does not do", () =>
    withHarness(async (session, open) => {
      const Two = schema({ word: string(), at: timestamp(), other: timestamp() });
      const input = testInput(session, "words", Two);
      const frame = input.frame
        .withWatermark("other", "10 s")
        .groupBy((c) => ({ w: window(c.at, "10 s") }))
        .agg(() => ({ n: count() }));
      await expect(open(frame)).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
    }));

  test("a watermark after the aggregate does not do", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const frame = input.frame
        .groupBy((c) => ({ at: c.at }))
        .agg(() => ({ n: count() }))
        .withWatermark("at", "10 s");
      await expect(open(frame)).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
    }));

  test("grouping by the event-time column itself is bounded by the watermark too", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const frame = input.frame
        .withWatermark("at", "10 s")
        .groupBy("at", "word")
        .agg(() => ({ n: count() }));
      const run = await open(frame);
      await run.feed(input, word("a", 5), word("a", 5));
      // The watermark becomes exactly 5 s: the group at 5 s is complete.
      const rows = await run.feed(input, word("b", 15));
      expect(rows).toEqual([{ at: 5000, word: "a", n: 2 }]);
    }));

  test("a query without state writes every row in the batch it came in", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(input.frame.filter((c) => c.n.gt(1)).select((c) => ({ word: c.word, twice: c.n.times(2) })));
      expect(await run.feed(input, word("a", 1, 5), word("b", 2, 1))).toEqual([{ word: "a", twice: 10 }]);
      expect(await run.feed(input, word("c", 1, 7))).toEqual([{ word: "c", twice: 14 }]);
    }));
});

describe("update mode", () => {
  test("gives the groups that changed since the last trigger, each once with its latest result", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame), { mode: "update" });
      expect(brief(await run.feed(input, word("a", 1), word("a", 2), word("b", 3)))).toEqual(["0 a 2", "0 b 1"]);
      expect(brief(await run.feed(input, word("a", 4)))).toEqual(["0 a 3"]);
    }));

  test("forgets windows behind the watermark", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame), { mode: "update" });
      await run.feed(input, word("a", 1), word("b", 2));
      expect(run.progress.at(-1)?.stateOperators[0]?.numRowsTotal).toBe(2);
      await run.feed(input, word("c", 40));
      expect(run.progress.at(-1)?.stateOperators[0]?.numRowsTotal).toBe(1);
    }));

  test("does not need a watermark: state is then kept for ever", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const frame = input.frame.groupBy("word").agg((c) => ({ n: count(), total: sum(c.n) }));
      const run = await open(frame, { mode: "update" });
      await run.feed(input, word("a", 1, 5));
      await run.feed(input, word("b", 100_000, 1));
      expect(await run.feed(input, word("a", 2, 7))).toEqual([{ word: "a", n: 2, total: 12 }]);
    }));

  test("without an aggregate is the same as append mode", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(input.frame.select("word"), { mode: "update" });
      expect(await run.feed(input, word("a", 1))).toEqual([{ word: "a" }]);
    }));
});

describe("complete mode", () => {
  test("gives the whole result with every trigger", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame), { mode: "complete" });
      expect(brief(await run.feed(input, word("a", 1)))).toEqual(["0 a 1"]);
      expect(brief(await run.feed(input, word("b", 12)))).toEqual(["0 a 1", "10 b 1"]);
    }));

  test("drops no late row and forgets no window: the watermark has no effect", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame), { mode: "complete" });
      await run.feed(input, word("a", 1000));
      expect(brief(await run.feed(input, word("late", 1)))).toEqual(["0 late 1", "1000 a 1"]);
      expect(run.lateRows).toBe(0);
    }));

  test("without an aggregate is refused", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      await expect(open(input.frame.select("word"), { mode: "complete" })).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
    }));

  test("allows orderBy and limit after the aggregate", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const frame = input.frame
        .groupBy("word")
        .agg(() => ({ n: count() }))
        .orderBy({ by: "n", descending: true }, "word")
        .limit(2);
      const run = await open(frame, { mode: "complete" });
      const rows = await run.feed(input, word("a", 1), word("b", 1), word("b", 2), word("c", 1), word("c", 2), word("c", 3));
      expect(rows).toEqual([
        { word: "c", n: 3 },
        { word: "b", n: 2 },
      ]);
    }));
});

describe("batches without records", () => {
  test("run when the watermark has moved, so that results do not wait for further input", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame));
      await run.feed(input, word("a", 1), word("b", 25));
      expect(brief(run.written)).toEqual(["0 a 1"]);
      expect(run.progress.map(({ numInputRows }) => numInputRows)).toEqual([2, 0]);
    }));

  test("do not run where the option says so", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame), { noDataBatches: false });
      await run.feed(input, word("a", 1), word("b", 25));
      expect(run.written).toEqual([]);
      expect(run.progress).toHaveLength(1);
      // The next input brings out what the watermark had closed before.
      expect(brief(await run.feed(input, word("b", 26)))).toEqual(["0 a 1"]);
    }));

  test("do not run in complete mode, where event time closes nothing", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame), { mode: "complete" });
      await run.feed(input, word("a", 1), word("b", 25));
      expect(run.progress).toHaveLength(1);
    }));

  test("do not run for a query without state", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(input.frame.withWatermark("at", "1 s").select("word"));
      await run.feed(input, word("a", 100));
      expect(run.progress).toHaveLength(1);
    }));
});

describe("windows", () => {
  test("hold their start and not their end, and begin at multiples of their size since 1970", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame), { mode: "update" });
      expect(brief(await run.feed(input, word("a", 10), word("b", 9), { word: "c", at: 9999, n: 1 }))).toEqual([
        "0 b 1",
        "0 c 1",
        "10 a 1",
      ]);
    }));

  test("before 1970 begin at multiples of their size too", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const run = await open(counted(input.frame), { mode: "complete" });
      expect(brief(await run.feed(input, word("a", -1), word("b", -10), word("c", -11)))).toEqual(["-10 a 1", "-10 b 1", "-20 c 1"]);
    }));

  test("that slide hold each row once per window it is in", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const frame = input.frame.groupBy((c) => ({ w: window(c.at, "10 s", "5 s"), word: c.word })).agg(() => ({ n: count() }));
      const run = await open(frame, { mode: "complete" });
      // 7 s is in [0, 10) and [5, 15).
      expect(brief(await run.feed(input, word("a", 7)))).toEqual(["0 a 1", "5 a 1"]);
    }));

  test("that slide by what does not divide their size hold each row once per window it is in", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const frame = input.frame.groupBy((c) => ({ w: window(c.at, "10 s", "4 s"), word: c.word })).agg(() => ({ n: count() }));
      const run = await open(frame, { mode: "complete" });
      // Windows begin at ..., -4, 0, 4, 8: 9 s is in [0, 10), [4, 14), [8, 18); 11 s in [4, 14) and [8, 18).
      expect(brief(await run.feed(input, word("a", 9), word("b", 11)))).toEqual(["0 a 1", "4 a 1", "4 b 1", "8 a 1", "8 b 1"]);
    }));

  test("with a start time are moved by it", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const frame = input.frame.groupBy((c) => ({ w: window(c.at, "10 s", undefined, "3 s"), word: c.word })).agg(() => ({ n: count() }));
      const run = await open(frame, { mode: "complete" });
      expect(brief(await run.feed(input, word("a", 2), word("b", 3), word("c", 13)))).toEqual(["-7 a 1", "13 c 1", "3 b 1"]);
    }));

  test("in one grouping there is one", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const frame = input.frame.groupBy((c) => ({ a: window(c.at, "10 s"), b: window(c.at, "20 s") })).agg(() => ({ n: count() }));
      await expect(open(frame, { mode: "complete" })).rejects.toMatchObject({ code: "DATAFRAME_MISPLACED" });
    }));

  test("of windows: an aggregate of an aggregate in append mode counts results as they are given", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const frame = counted(input.frame)
        .groupBy((c) => ({ w: window(c.w_start, "20 s") }))
        .agg((c) => ({ words: count(), most: max(c.n) }));
      const run = await open(frame);
      await run.feed(input, word("a", 1), word("a", 2), word("b", 3), word("c", 12));
      const rows = await run.feed(input, word("z", 60));
      expect(rows).toEqual([{ w_start: 0, w_end: 20_000, words: 3, most: 2 }]);
    }));

  test("an aggregate of an aggregate in update or complete mode is refused", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "words", Word);
      const frame = counted(input.frame)
        .groupBy("word")
        .agg(() => ({ windows: count() }));
      await expect(open(frame, { mode: "update" })).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
      await expect(open(frame, { mode: "complete" })).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
    }));
});
