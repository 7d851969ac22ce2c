// Semi and anti joins of two streams against a plain reference: which left rows come, and with which input they come.
import { describe, expect, test } from "vitest";
import { MemoryStorage } from "../../checkpoint/storage/memory-storage.ts";
import { int53, string, timestamp } from "../../core/schema/field.ts";
import { type RowType, schema } from "../../core/schema/schema.ts";
import type { Session } from "../../dataframe/session.ts";
import { testInput, withHarness } from "./testing/query-harness.suite.ts";

const Left = schema({ id: int53(), k: string().nullable(), at: timestamp() });
const Right = schema({ j: string().nullable(), time: timestamp() });
type LeftRow = RowType<typeof Left>;
type RightRow = RowType<typeof Right>;
type Kind = "semi" | "anti";

const lowerMs = -3000;
const upperMs = 5000;
const delayMs = 4000;

function joined(session: Session, kind: Kind) {
  const left = testInput(session, "left", Left);
  const right = testInput(session, "right", Right);
  const frame = left.frame.withWatermark("at", delayMs).join(
    right.frame.withWatermark("time", delayMs),
    (l, r) =>
      l.k
        .eq(r.j)
        .and(r.time.ge(l.at.plusInterval("-3 seconds")))
        .and(r.time.le(l.at.plusInterval("5 seconds"))),
    kind,
    { name: "joined" },
  );
  return { left, right, frame };
}

interface Input {
  readonly left: readonly LeftRow[];
  readonly right: readonly RightRow[];
}

/** For each input the ids that it must bring: by comparing every pair of rows that were in time. */
function reference(kind: Kind, inputs: readonly Input[]): readonly (readonly number[])[] {
  const lefts: { readonly row: LeftRow; readonly input: number }[] = [];
  const rights: { readonly row: RightRow; readonly input: number }[] = [];
  const watermarks: number[] = [];
  let [latestLeft, latestRight, watermark] = [-Infinity, -Infinity, -Infinity];
  inputs.forEach(({ left, right }, input) => {
    for (const row of left) {
      latestLeft = Math.max(latestLeft, row.at);
      if (row.at > watermark) lefts.push({ row, input });
    }
    for (const row of right) {
      latestRight = Math.max(latestRight, row.time);
      if (row.time > watermark) rights.push({ row, input });
    }
    watermark = Math.max(watermark, Math.min(latestLeft, latestRight) - delayMs);
    watermarks.push(watermark);
  });
  const given = inputs.map((): number[] => []);
  for (const { row, input } of lefts) {
    const partners = rights.filter(
      (other) => row.k !== null && other.row.j === row.k && other.row.time >= row.at + lowerMs && other.row.time <= row.at + upperMs,
    );
    if (kind === "semi" && partners.length > 0) given[Math.max(input, Math.min(...partners.map((other) => other.input)))]?.push(row.id);
    if (kind === "semi" || partners.length > 0) continue;
    // Without a key there is nothing to wait for; else the watermark must have passed everything that could match.
    const closed = row.k === null ? input : watermarks.findIndex((reached, at) => at >= input && reached >= row.at + upperMs);
    if (closed >= 0) given[closed]?.push(row.id);
  }
  return given.map((each) => each.sort((a, b) => a - b));
}

function randomInputs(seed: number): readonly Input[] {
  let state = seed;
  const below = (limit: number): number => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 4294967296) * limit);
  };
  const key = (): string | null => (below(12) === 0 ? null : `k${below(4)}`);
  let id = 0;
  const inputs = Array.from({ length: 14 }, (_, step): Input => {
    const time = (): number => 100_000 + step * 2500 + below(9000) - 4500;
    return {
      left: Array.from({ length: below(6) }, () => ({ id: id++, k: key(), at: time() })),
      right: Array.from({ length: below(6) }, () => ({ j: key(), time: time() })),
    };
  });
  const last = { left: [{ id: id++, k: "end", at: 500_000 }], right: [{ j: "other", time: 500_000 }] };
  return [...inputs, last];
}

describe.each(["semi", "anti"] as const)("join %s of two streams", (kind) => {
  test.each([1, 2])("gives what the reference gives, each row once, across restarts (seed %i)", (seed) =>
    withHarness(async (session, open) => {
      const inputs = randomInputs(seed);
      const { left, right, frame } = joined(session, kind);
      const storage = new MemoryStorage();
      const run = await open(frame, { openStorage: async () => storage });
      const given: (readonly number[])[] = [];
      for (const [step, input] of inputs.entries()) {
        if (step === 7) await run.restart();
        for (const row of input.left) left.source.push(row);
        for (const row of input.right) right.source.push(row);
        given.push((await run.drain()).map(({ id }) => id).sort((a, b) => a - b));
      }
      const expected = reference(kind, inputs);
      expect(expected.flat().length).toBeGreaterThan(5);
      expect(given).toEqual(expected);
    }),
  );

  test("forgets rows that nothing can match any more, and a left row with its match", () =>
    withHarness(async (session, open) => {
      const { left, right, frame } = joined(session, kind);
      const run = await open(frame);
      const entries = (): number | undefined => run.progress.at(-1)?.stateOperators[0]?.numRowsTotal;
      await run.feed(left, { id: 1, k: "a", at: 100_000 }, { id: 2, k: "b", at: 100_000 });
      // Two rows, each with its timer.
      expect(entries()).toBe(4);
      await run.feed(right, { j: "a", time: 101_000 });
      // The left row is decided, and its timer waits for its time; the right row stays for left rows to come.
      expect(entries()).toBe(5);
      await run.feed(left, { id: 3, k: "z", at: 500_000 });
      await run.feed(right, { j: "y", time: 500_000 });
      expect(entries()).toBe(4);
    }));

  test("without a bound in time, or with one on one side only, is refused with the reason", () =>
    withHarness(async (session, open) => {
      const left = testInput(session, "left", Left);
      const right = testInput(session, "right", Right);
      const [l, r] = [left.frame.withWatermark("at", delayMs), right.frame.withWatermark("time", delayMs)];
      const reason = kind === "semi" ? /wait for its partner for ever/ : /never known that a row has no partner/;
      const refused = async (frame: Parameters<typeof open>[0], message: RegExp): Promise<void> => {
        await expect(open(frame)).rejects.toMatchObject({ code: "DATAFRAME_UNSUPPORTED", message: expect.stringMatching(message) });
      };
      await refused(
        l.join(r, (a, b) => a.k.eq(b.j), kind),
        reason,
      );
      await refused(
        left.frame.join(right.frame, (a, b) => a.k.eq(b.j).and(b.time.le(a.at)), kind),
        /condition beyond equalities/,
      );
      await refused(
        l.join(r, (a, b) => a.k.eq(b.j).and(b.time.ge(a.at)), kind),
        reason,
      );
      await refused(
        l.join(r, (a, b) => a.k.eq(b.j).and(b.time.le(a.at)), kind),
        /bounded in time on one side only/,
      );
    }));
});
