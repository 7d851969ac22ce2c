// Spark's published rules for state: deduplication, joins and session windows, a case each. The rules are those of the Structured
// Streaming Programming Guide, sections "Streaming Deduplication", "Join Operations" and "Types of time windows"; every case names its
// own. Expected values are worked out from the rule by hand.
import { describe, expect, test } from "vitest";
import { int53, string, timestamp } from "../../core/schema/field.ts";
import { type RowType, schema } from "../../core/schema/schema.ts";
import { count, sessionWindow, sum, window } from "../../dataframe/expression/functions.ts";
import { values } from "../../connectors/memory/index.ts";
import { testInput, withHarness } from "./testing/query-harness.suite.ts";

const Event = schema({ id: string(), at: timestamp(), n: int53() });
type Event = RowType<typeof Event>;
const event = (id: string, atSeconds: number, n = 0): Event => ({ id, at: atSeconds * 1000, n });
const ids = (rows: readonly { readonly id: string }[]): readonly string[] => rows.map(({ id }) => id).sort();

describe("dropDuplicates", () => {
  test("without a watermark remembers every key for ever", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(input.frame.dropDuplicates("id"));
      expect(ids(await run.feed(input, event("a", 1), event("a", 2), event("b", 3)))).toEqual(["a", "b"]);
      expect(ids(await run.feed(input, event("a", 100_000), event("c", 5)))).toEqual(["c"]);
    }));

  test("with a watermark and the event time among its columns forgets keys behind the watermark", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(input.frame.withWatermark("at", "10 s").dropDuplicates("id", "at"));
      await run.feed(input, event("a", 1), event("b", 2));
      expect(run.progress.at(-1)?.stateOperators[0]?.numRowsTotal).toBe(2);
      await run.feed(input, event("c", 50));
      expect(run.progress.at(-1)?.stateOperators[0]?.numRowsTotal).toBe(1);
    }));

  test("with a watermark drops rows at or behind it as late", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(input.frame.withWatermark("at", "10 s").dropDuplicates("id", "at"));
      await run.feed(input, event("a", 50));
      // The watermark is 40 s.
      expect(ids(await run.feed(input, event("at", 40), event("behind", 30), event("before", 41)))).toEqual(["before"]);
      expect(run.lateRows).toBe(2);
    }));

  test("the same key with another event time is another row where event time is among the columns", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(input.frame.withWatermark("at", "10 s").dropDuplicates("id", "at"));
      expect(ids(await run.feed(input, event("a", 1), event("a", 2), event("a", 1)))).toEqual(["a", "a"]);
    }));

  test("without columns takes the whole row", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(input.frame.dropDuplicates());
      expect(await run.feed(input, event("a", 1, 1), event("a", 1, 2), event("a", 1, 1))).toHaveLength(2);
    }));

  test("survives a restart", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(input.frame.dropDuplicates("id"));
      await run.feed(input, event("a", 1));
      await run.restart();
      expect(ids(await run.feed(input, event("a", 2), event("b", 2)))).toEqual(["b"]);
    }));

  test("distinct is dropDuplicates over all columns", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(input.frame.select("id").distinct());
      expect(ids(await run.feed(input, event("a", 1), event("a", 2)))).toEqual(["a"]);
      expect(ids(await run.feed(input, event("a", 3), event("b", 3)))).toEqual(["b"]);
    }));
});

describe("dropDuplicatesWithinWatermark", () => {
  test("finds duplicates that come with another event time within the delay", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(input.frame.withWatermark("at", "10 s").dropDuplicatesWithinWatermark("id"));
      expect(ids(await run.feed(input, event("a", 5)))).toEqual(["a"]);
      expect(ids(await run.feed(input, event("a", 9), event("b", 9)))).toEqual(["b"]);
    }));

  test("forgets a key when the watermark has passed the row's time by the delay", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(input.frame.withWatermark("at", "10 s").dropDuplicatesWithinWatermark("id"));
      await run.feed(input, event("a", 5));
      // The key expires at 15 s. A latest time of 24 s makes the watermark 14 s, one of 25 s makes it 15 s.
      await run.feed(input, event("x", 24));
      expect(ids(await run.feed(input, event("a", 24)))).toEqual([]);
      await run.feed(input, event("y", 25));
      expect(ids(await run.feed(input, event("a", 25)))).toEqual(["a"]);
    }));

  test("drops rows behind the watermark", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(input.frame.withWatermark("at", "10 s").dropDuplicatesWithinWatermark("id"));
      await run.feed(input, event("a", 50));
      expect(await run.feed(input, event("late", 39))).toEqual([]);
      expect(run.lateRows).toBe(1);
    }));

  test("without a watermark is refused", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      await expect(open(input.frame.dropDuplicatesWithinWatermark("id"))).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
    }));
});

const Click = schema({ ad: string(), clicked: timestamp() });
const Shown = schema({ shownAd: string(), shown: timestamp() });
const click = (ad: string, atSeconds: number): RowType<typeof Click> => ({ ad, clicked: atSeconds * 1000 });
const shown = (shownAd: string, atSeconds: number): RowType<typeof Shown> => ({ shownAd, shown: atSeconds * 1000 });
const pairs = (
  rows: readonly {
    readonly shownAd: string | null;
    readonly shown: number | null;
    readonly ad: string | null;
    readonly clicked: number | null;
  }[],
): readonly string[] =>
  rows
    .map(
      (row) =>
        `${row.shownAd} ${row.shown === null ? null : row.shown / 1000} ${row.ad} ${row.clicked === null ? null : row.clicked / 1000}`,
    )
    .sort();

describe("a join of two streams", () => {
  test("inner, by an equality alone, gives each pair once, whichever side comes later", () =>
    withHarness(async (session, open) => {
      const left = testInput(session, "shown", Shown);
      const right = testInput(session, "clicks", Click);
      const run = await open(left.frame.join(right.frame, (l, r) => l.shownAd.eq(r.ad)));
      expect(await run.feed(left, shown("a", 1))).toEqual([]);
      expect(pairs(await run.feed(right, click("a", 2)))).toEqual(["a 1 a 2"]);
      expect(pairs(await run.feed(right, click("a", 3), click("b", 3)))).toEqual(["a 1 a 3"]);
      expect(pairs(await run.feed(left, shown("b", 9)))).toEqual(["b 9 b 3"]);
    }));

  const within = (session: Parameters<Parameters<typeof withHarness>[0]>[0], type: "inner" | "left" | "right" | "full") => {
    const left = testInput(session, "shown", Shown);
    const right = testInput(session, "clicks", Click);
    const frame = left.frame.withWatermark("shown", "10 s").join(
      right.frame.withWatermark("clicked", "20 s"),
      (l, r) =>
        l.shownAd
          .eq(r.ad)
          .and(r.clicked.ge(l.shown))
          .and(r.clicked.le(l.shown.plusInterval("1 minute"))),
      type,
    );
    return { left, right, frame };
  };

  test("with a bound in time gives only pairs within it", () =>
    withHarness(async (session, open) => {
      const { left, right, frame } = within(session, "inner");
      const run = await open(frame);
      await run.feed(left, shown("a", 10));
      expect(pairs(await run.feed(right, click("a", 9), click("a", 10), click("a", 70), click("a", 71)))).toEqual([
        "a 10 a 10",
        "a 10 a 70",
      ]);
    }));

  test("with a bound in time forgets rows that can have no partner any more", () =>
    withHarness(async (session, open) => {
      const { left, right, frame } = within(session, "inner");
      const run = await open(frame);
      await run.feed(left, shown("a", 10));
      await run.feed(right, click("b", 10));
      await run.feed(left, shown("z", 500));
      await run.feed(right, click("z", 500));
      // Both watermarks are far beyond what the first rows could pair with: three rows are left, each with its timer.
      await run.feed(left, shown("y", 501));
      expect(run.progress.at(-1)?.stateOperators[0]?.numRowsTotal).toBe(6);
    }));

  test("left outer gives a row without a partner when the watermark shows that none can come, and not before", () =>
    withHarness(async (session, open) => {
      const { left, right, frame } = within(session, "left");
      const run = await open(frame);
      await run.feed(left, shown("lonely", 10), shown("a", 10));
      expect(pairs(await run.feed(right, click("a", 20)))).toEqual(["a 10 a 20"]);
      // A partner of the lonely row could come until 70 s.
      await run.feed(left, shown("m", 60));
      expect(pairs(run.written)).toEqual(["a 10 a 20"]);
      await run.feed(left, shown("z", 200));
      await run.feed(right, click("z", 200));
      await run.feed(left, shown("y", 201));
      expect(pairs(run.written)).toContain("lonely 10 null null");
      expect(pairs(run.written).filter((pair) => pair.startsWith("a 10"))).toEqual(["a 10 a 20"]);
    }));

  test("right outer gives unmatched rows of the right side", () =>
    withHarness(async (session, open) => {
      const { left, right, frame } = within(session, "right");
      const run = await open(frame);
      await run.feed(right, click("lonely", 100));
      await run.feed(left, shown("z", 500));
      await run.feed(right, click("z", 500));
      await run.feed(left, shown("y", 501));
      expect(pairs(run.written)).toContain("null null lonely 100");
    }));

  test("full outer gives unmatched rows of both sides", () =>
    withHarness(async (session, open) => {
      const { left, right, frame } = within(session, "full");
      const run = await open(frame);
      await run.feed(left, shown("l", 100));
      await run.feed(right, click("r", 100));
      await run.feed(left, shown("z", 500));
      await run.feed(right, click("z", 500));
      await run.feed(left, shown("y", 501));
      expect(pairs(run.written)).toEqual(expect.arrayContaining(["l 100 null null", "null null r 100", "z 500 z 500"]));
    }));

  test("a row whose key is null has no partner", () =>
    withHarness(async (session, open) => {
      const Maybe = schema({ k: string().nullable(), at: timestamp() });
      const Other = schema({ j: string().nullable(), time: timestamp() });
      const left = testInput(session, "l", Maybe);
      const right = testInput(session, "r", Other);
      const run = await open(left.frame.join(right.frame, (l, r) => l.k.eq(r.j)));
      await run.feed(left, { k: null, at: 0 }, { k: "a", at: 0 });
      expect(await run.feed(right, { j: null, time: 0 }, { j: "a", time: 0 })).toEqual([{ k: "a", at: 0, j: "a", time: 0 }]);
    }));

  test("survives a restart: rows of before find partners of after", () =>
    withHarness(async (session, open) => {
      const { left, right, frame } = within(session, "inner");
      const run = await open(frame);
      await run.feed(left, shown("a", 10));
      await run.restart();
      expect(pairs(await run.feed(right, click("a", 20)))).toEqual(["a 10 a 20"]);
    }));

  test("in update or complete mode is refused", () =>
    withHarness(async (session, open) => {
      const { frame } = within(session, "inner");
      await expect(open(frame, { mode: "update" })).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
    }));

  test("outer without watermarks and a bound in time is refused", () =>
    withHarness(async (session, open) => {
      const left = testInput(session, "shown", Shown);
      const right = testInput(session, "clicks", Click);
      const frame = left.frame.join(right.frame, (l, r) => l.shownAd.eq(r.ad), "left");
      await expect(open(frame)).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED", message: expect.stringMatching(/never known/) });
    }));

  test("without an equality is refused", () =>
    withHarness(async (session, open) => {
      const left = testInput(session, "shown", Shown);
      const right = testInput(session, "clicks", Click);
      const frame = left.frame.withWatermark("shown", 0).join(right.frame.withWatermark("clicked", 0), (l, r) => r.clicked.ge(l.shown));
      await expect(open(frame)).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
    }));

  test("can be aggregated by windows afterwards", () =>
    withHarness(async (session, open) => {
      const { left, right, frame } = within(session, "inner");
      const run = await open(frame.groupBy((c) => ({ w: window(c.shown, "100 s") })).agg(() => ({ pairs: count() })));
      await run.feed(left, shown("a", 10), shown("b", 20));
      await run.feed(right, click("a", 15), click("a", 16), click("b", 25));
      await run.feed(left, shown("z", 1000));
      await run.feed(right, click("z", 1000));
      await run.feed(left, shown("z", 1001));
      expect(run.written[0]).toEqual({ w_start: 0, w_end: 100_000, pairs: 3 });
    }));
});

describe("a join of a stream and a batch", () => {
  const Name = schema({ id: string(), name: string() });
  const names = values(Name, [
    { id: "a", name: "Anna" },
    { id: "b", name: "Berta" },
    { id: "b", name: "Bernd" },
  ]);

  test("inner gives each row with each of its matches, and keeps no state", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(input.frame.join(session.read(names, { name: "names" }), ["id"]).select("id", "name"));
      const rows = await run.feed(input, event("a", 1), event("b", 1), event("c", 1));
      expect(rows.map(({ id, name }) => `${id} ${name}`).sort()).toEqual(["a Anna", "b Bernd", "b Berta"]);
      expect(run.progress.at(-1)?.stateOperators).toEqual([]);
      expect((await run.feed(input, event("a", 2))).map(({ name }) => name)).toEqual(["Anna"]);
    }));

  test("left outer gives rows of the stream without a match at once", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(input.frame.join(session.read(names, { name: "names" }), ["id"], "left").select("id", "name"));
      expect(await run.feed(input, event("c", 1))).toEqual([{ id: "c", name: null }]);
    }));

  test("left semi and left anti filter the stream", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const known = await open(input.frame.join(session.read(names, { name: "names" }), ["id"], "semi").select("id"));
      expect(ids(await known.feed(input, event("b", 1), event("c", 1)))).toEqual(["b"]);
      const other = testInput(session, "others", Event);
      const unknown = await open(other.frame.join(session.read(names, { name: "names" }), ["id"], "anti").select("id"));
      expect(ids(await unknown.feed(other, event("b", 1), event("c", 1)))).toEqual(["c"]);
    }));

  test("right outer, full outer, and semi with the batch on the left are refused", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const batch = session.read(names, { name: "names" });
      for (const type of ["right", "full"] as const)
        await expect(open(input.frame.join(batch, ["id"], type))).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
      for (const type of ["left", "full", "semi", "anti"] as const)
        await expect(open(batch.join(input.frame, ["id"], type))).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
    }));

  test("right outer with the stream on the right gives its rows without a match", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const run = await open(session.read(names, { name: "names" }).join(input.frame, ["id"], "right").select("id", "name"));
      expect(await run.feed(input, event("c", 1))).toEqual([{ id: "c", name: null }]);
    }));

  test("a union of a stream and a batch is refused", () =>
    withHarness(async (session, open) => {
      const input = testInput(session, "events", Event);
      const batch = session.read(values(Event, [event("a", 1)]), { name: "batch" });
      await expect(open(input.frame.union(batch))).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
    }));
});

describe("session windows", () => {
  const sessions = (session: Parameters<Parameters<typeof withHarness>[0]>[0]) => {
    const input = testInput(session, "events", Event);
    const frame = input.frame
      .withWatermark("at", "10 s")
      .groupBy((c) => ({ s: sessionWindow(c.at, "5 s"), id: c.id }))
      .agg((c) => ({ n: count(), total: sum(c.n) }));
    return { input, frame };
  };
  const brief = (
    rows: readonly { readonly s_start: number; readonly s_end: number; readonly id: string; readonly n: number }[],
  ): readonly string[] => rows.map((row) => `${row.s_start / 1000}-${row.s_end / 1000} ${row.id} ${row.n}`).sort();

  test("end a gap after their last row, and are given when the watermark has passed that", () =>
    withHarness(async (session, open) => {
      const { input, frame } = sessions(session);
      const run = await open(frame);
      await run.feed(input, event("a", 1), event("a", 4), event("a", 20));
      expect(brief(run.written)).toEqual(["1-9 a 2"]);
      await run.feed(input, event("b", 60));
      expect(brief(run.written)).toEqual(["1-9 a 2", "20-25 a 1"]);
    }));

  test("that a row joins become one", () =>
    withHarness(async (session, open) => {
      const { input, frame } = sessions(session);
      const run = await open(frame);
      await run.feed(input, event("a", 1), event("a", 9));
      await run.feed(input, event("a", 5));
      await run.feed(input, event("z", 100));
      expect(brief(run.written)).toEqual(["1-14 a 3"]);
    }));

  test("of different keys do not meet", () =>
    withHarness(async (session, open) => {
      const { input, frame } = sessions(session);
      const run = await open(frame);
      await run.feed(input, event("a", 1), event("b", 2));
      await run.feed(input, event("z", 100));
      expect(brief(run.written)).toEqual(["1-6 a 1", "2-7 b 1"]);
    }));

  test("in update mode are refused", () =>
    withHarness(async (session, open) => {
      await expect(open(sessions(session).frame, { mode: "update" })).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED" });
    }));

  test("survive a restart", () =>
    withHarness(async (session, open) => {
      const { input, frame } = sessions(session);
      const run = await open(frame);
      await run.feed(input, event("a", 1));
      await run.restart();
      await run.feed(input, event("a", 4));
      await run.feed(input, event("z", 100));
      expect(brief(run.written)).toEqual(["1-9 a 2"]);
    }));
});
