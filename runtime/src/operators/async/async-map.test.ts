// asyncMap: no row lost or given out twice over random answers, failures, restarts and rescaling; order, watermarks, limits.
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { bytes, int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { type HarnessRow, type HarnessSnapshot, OperatorHarness } from "../../testing/operator-harness.ts";
import { mergeLists } from "../../testing/harness-state.ts";
import { bag, seed } from "../../../../test/reference/operator-scenarios.ts";
import { asyncMap, type AsyncMapParams } from "./async-map.ts";
import { backoffMs } from "./backoff.ts";

// Many small cases: seconds on an idle machine, more on a busy one.
vi.setConfig({ testTimeout: 180_000 });

const input = schema({ id: int53() });
const output = schema({ id: int53(), text: string() });
type In = { readonly id: number };
type Out = { readonly id: number; readonly text: string };

const ticks = async (): Promise<void> => {
  for (let n = 0; n < 3; n++) await new Promise((resolve) => setImmediate(resolve));
};

/** Opens one instance; `log` collects what goes out: ids of rows, and watermarks as `w<time>`. */
async function open(
  params: Omit<AsyncMapParams<In, Out>, "input" | "output">,
  log: string[],
  extra: Partial<Parameters<typeof OperatorHarness.open>[0]> = {},
): Promise<OperatorHarness> {
  const factory = asyncMap({ input, output, ...params });
  return OperatorHarness.open({
    inputs: [input],
    ...extra,
    factory: (context) =>
      factory({
        ...context,
        output: () => ({
          emit({ rows, selection, count }) {
            for (let k = 0; k < count; k++) log.push(`${rows.column(0).numbers[selection[k] as number]}`);
          },
        }),
        forwardWatermark: (timeMs) => log.push(`w${timeMs}`),
      }),
  });
}

const event = fc.oneof(
  {
    weight: 10,
    arbitrary: fc.record({
      rows: fc.array(fc.record({ latencyMs: fc.integer({ min: 0, max: 50 }), failures: fc.constantFrom(0, 0, 0, 1, 2, 9) }), {
        minLength: 1,
        maxLength: 6,
      }),
    }),
  },
  { weight: 4, arbitrary: fc.record({ by: fc.integer({ min: 1, max: 10 }) }) },
  { weight: 6, arbitrary: fc.record({ wait: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 2, arbitrary: fc.record({ restart: fc.integer({ min: 1, max: 3 }) }) },
);

describe("over random answers, failures and restarts", () => {
  test(`each row goes out once, in its place, and never behind a watermark that came after it (seed ${seed})`, async () => {
    const cases = fc.record({
      events: fc.array(event, { minLength: 3, maxLength: 30, size: "max" }),
      order: fc.constantFrom("ordered" as const, "unordered" as const),
      capacity: fc.integer({ min: 1, max: 5 }),
    });
    await fc.assert(
      fc.asyncProperty(cases, async ({ events, order, capacity }) => {
        const clock = new ManualClock(0);
        const plans: { latencyMs: number; failures: number }[] = [];
        let underWay = 0;
        let mostUnderWay = 0;
        const fn = (row: In, { attempt }: { attempt: number }): Promise<Out> =>
          new Promise((resolve, reject) => {
            const { latencyMs, failures } = plans[row.id] as { latencyMs: number; failures: number };
            mostUnderWay = Math.max(mostUnderWay, ++underWay);
            clock.after(latencyMs, () => {
              underWay--;
              if (attempt <= failures) reject(new Error("not yet"));
              else resolve({ id: row.id, text: `t${row.id}` });
            });
          });
        const params = {
          fn,
          order,
          capacity,
          timeoutMs: 100_000,
          retry: { retries: 2, backoffMs: 10 },
          onFailure: "dead-letter",
          random: () => 0.5,
        } as const;
        const log: string[] = [];
        const bad: number[] = [];
        /** Every row and watermark in the order in which it came. */
        const came: string[] = [];
        let instances = [await open(params, log, { clock })];
        let isSplit = false;
        let watermarkMs = 0;
        const collectBad = (): void => {
          for (const { badRows } of instances) bad.push(...badRows.splice(0).map(({ row }) => (row as In).id));
        };
        for (const entry of events) {
          if ("rows" in entry) {
            const rows = entry.rows.map((plan): HarnessRow => {
              plans.push(plan);
              came.push(`${plans.length - 1}`);
              return { row: { id: plans.length - 1 }, timeMs: watermarkMs + 1 };
            });
            instances[plans.length % instances.length]?.push(rows);
          } else if ("by" in entry) {
            watermarkMs += entry.by;
            came.push(`w${watermarkMs}`);
            for (const instance of instances) instance.watermark(watermarkMs);
          } else if ("wait" in entry) {
            for (let n = 0; n < entry.wait; n++) {
              clock.advance(1);
              await ticks();
              for (const instance of instances) instance.advance(0);
            }
          } else {
            const parts = instances.map((instance) => instance.snapshot());
            collectBad();
            const snapshot: HarnessSnapshot = { tables: [], blocks: [], lists: mergeLists(parts.map(({ lists }) => lists)) };
            for (const instance of instances) await instance.close();
            underWay = 0;
            mostUnderWay = 0;
            isSplit ||= entry.restart > 1;
            instances = [];
            for (let subtask = 0; subtask < entry.restart; subtask++)
              instances.push(await open(params, log, { clock, subtask, parallelism: entry.restart, snapshot }));
            for (const instance of instances) instance.advance(0);
          }
        }
        for (let n = 0; instances.some(({ operator }) => operator.busy?.()); n++) {
          if (n > 5000) throw new Error("still busy");
          clock.advance(1);
          await ticks();
          for (const instance of instances) instance.advance(0);
        }
        collectBad();
        expect(instances.map(({ paused }) => paused)).toEqual(instances.map(() => 0));
        for (const instance of instances) await instance.close();
        const doomed = plans.flatMap(({ failures }, id) => (failures > 2 ? [id] : []));
        expect(bag(bad)).toEqual(bag(doomed));
        const given = log.filter((entry) => !entry.startsWith("w"));
        expect(bag(given)).toEqual(bag(came.filter((entry) => !entry.startsWith("w") && !doomed.includes(Number(entry)))));
        const restarts = events.some((entry) => "restart" in entry);
        if (!restarts) {
          expect(mostUnderWay).toBeLessThanOrEqual(capacity);
          checkOrder(came, log, doomed, order);
        } else if (!isSplit && order === "ordered") expect(given.map(Number)).toEqual(given.map(Number).toSorted((a, b) => a - b));
      }),
      { numRuns: 60, seed },
    );
  });
});

// Each row goes out between the watermarks that it came between; in ordered mode, rows in their order too.
function checkOrder(came: readonly string[], log: readonly string[], doomed: readonly number[], order: string): void {
  const epochs = (entries: readonly string[]): string[][] => {
    const made: string[][] = [[]];
    for (const entry of entries) {
      if (entry.startsWith("w")) made.push([entry]);
      else made.at(-1)?.push(entry);
    }
    return made;
  };
  const expected = epochs(came.filter((entry) => !doomed.includes(Number(entry))));
  // Of watermarks with nothing between them only the last has to go on.
  const merged = (all: string[][]): string[][] =>
    all.filter((epoch, at) => epoch.some((entry) => !entry.startsWith("w")) || at === all.length - 1);
  const shown = (all: string[][]): string[][] =>
    merged(all).map((epoch) => (order === "ordered" ? epoch : epoch.toSorted()).filter((entry) => !entry.startsWith("w")));
  expect(shown(epochs(log))).toEqual(shown(expected));
  const sent = log.filter((entry) => entry.startsWith("w"));
  expect(sent.at(-1)).toEqual(came.findLast((entry) => entry.startsWith("w")));
  expect(sent.map((entry) => Number(entry.slice(1)))).toEqual(sent.map((entry) => Number(entry.slice(1))).toSorted((a, b) => a - b));
}

describe("limits", () => {
  test("a batch beyond the capacity waits, and so do the sources until there is room", async () => {
    const clock = new ManualClock(0);
    const started: number[] = [];
    const answers: (() => void)[] = [];
    const fn = (row: In): Promise<Out> => {
      started.push(row.id);
      return new Promise((resolve) => answers.push(() => resolve({ id: row.id, text: "" })));
    };
    const log: string[] = [];
    const harness = await open({ fn, capacity: 2, order: "unordered" }, log, { clock });
    harness.push([0, 1, 2].map((id) => ({ row: { id } })));
    expect([started, harness.paused]).toEqual([[0, 1], 1]);
    answers[1]?.();
    await ticks();
    harness.advance(0);
    expect([log, started, harness.paused]).toEqual([["1"], [0, 1, 2], 1]);
    answers[0]?.();
    await ticks();
    harness.advance(0);
    expect([log, harness.paused, harness.operator.busy?.()]).toEqual([["1", "0"], 0, true]);
    answers[2]?.();
    await ticks();
    harness.advance(0);
    expect([log, harness.operator.busy?.()]).toEqual([["1", "0", "2"], false]);
    await harness.close();
  });

  test("a promise that never settles times out; its answer after that counts for nothing", async () => {
    const clock = new ManualClock(0);
    let late: ((row: Out) => void) | undefined;
    const signals: AbortSignal[] = [];
    const fn = (row: In, { signal }: { signal: AbortSignal }): Promise<Out> => {
      signals.push(signal);
      return row.id === 0 ? new Promise((resolve) => (late = resolve)) : Promise.resolve({ id: row.id, text: "" });
    };
    const log: string[] = [];
    const harness = await open({ fn, timeoutMs: 500, onTimeout: { default: (row) => ({ id: -row.id - 1, text: "default" }) } }, log, {
      clock,
    });
    harness.push([0, 1].map((id) => ({ row: { id } }))).watermark(9);
    await ticks();
    harness.advance(499);
    expect(log).toEqual([]);
    harness.advance(1);
    expect(log).toEqual(["-1", "1", "w9"]);
    late?.({ id: 77, text: "" });
    await ticks();
    harness.advance(1);
    expect([log, harness.counters.get("timeouts"), signals.map(({ aborted }) => aborted)]).toEqual([["-1", "1", "w9"], 1, [true, false]]);
    await harness.close();
  });

  test("what fails after its time-out is not tried again", async () => {
    const clock = new ManualClock(0);
    let calls = 0;
    let reject: ((error: unknown) => void) | undefined;
    const fn = (): Promise<Out> => {
      calls++;
      return new Promise((_resolve, fail) => (reject = fail));
    };
    const harness = await open({ fn, timeoutMs: 500, onTimeout: "drop", retry: { retries: 3, backoffMs: 1 } }, [], { clock });
    harness.push([{ row: { id: 0 } }]).advance(500);
    reject?.(new Error("aborted"));
    for (let n = 0; n < 5; n++) {
      await ticks();
      harness.advance(100);
    }
    expect([calls, harness.operator.busy?.(), harness.counters.get("retries")]).toEqual([1, false, undefined]);
    await harness.close();
  });

  test("closing aborts what is under way and lets the sources go", async () => {
    const signals: AbortSignal[] = [];
    const fn = (_row: In, { signal }: { signal: AbortSignal }): Promise<Out> => {
      signals.push(signal);
      return new Promise(() => {});
    };
    const log: string[] = [];
    const harness = await open({ fn, capacity: 1 }, log);
    harness.push([{ row: { id: 1 } }]);
    expect(harness.paused).toBe(1);
    await harness.close();
    expect([signals[0]?.aborted, harness.paused]).toEqual([true, 0]);
  });
});

describe("failures", () => {
  const fails = (): Promise<Out> => Promise.reject(new Error("no such thing"));
  const settle = async (harness: OperatorHarness): Promise<void> => {
    await ticks();
    harness.advance(0);
  };

  test("drop leaves the row out, a default takes its place, dead-letter names it", async () => {
    const log: string[] = [];
    const drop = await open({ fn: fails, onFailure: "drop" }, log);
    await settle(drop.push([{ row: { id: 1 } }]));
    const other = await open({ fn: fails, onFailure: { default: (row, error) => ({ id: row.id * 10, text: String(error) }) } }, log);
    await settle(other.push([{ row: { id: 2 } }]));
    const dead = await open({ fn: fails }, log);
    await settle(dead.push([{ row: { id: 3 } }]));
    expect([log, drop.badRows, dead.badRows.map(({ code, reason, row }) => [code, reason, row])]).toEqual([
      ["20"],
      [],
      [["FUNCTION_FAILED", "the asyncMap function failed: no such thing", { id: 3 }]],
    ]);
    for (const harness of [drop, other, dead]) await harness.close();
  });

  test("fail stops the job with the row's error", async () => {
    const harness = await open({ fn: fails, onFailure: "fail" }, []);
    harness.push([{ row: { id: 1 } }]);
    await ticks();
    expect(() => harness.advance(0)).toThrow(expect.objectContaining({ code: "ASYNC_FAILED", subject: "operator" }));
    await harness.close();
  });

  test("an answer that does not fit is a failure, and none of its rows goes out; several rows, or none, are answers", async () => {
    const answers: unknown[] = [
      [
        { id: 1, text: "a" },
        { id: 0.5, text: "b" },
      ],
      null,
      [
        { id: 2, text: "" },
        { id: 3, text: "" },
      ],
      undefined,
      { id: 4, text: "" },
    ];
    const log: string[] = [];
    const harness = await open({ fn: (row) => answers[row.id] as Out }, log);
    await settle(harness.push(answers.map((_, id) => ({ row: { id } }))));
    expect([log, harness.badRows.map(({ row }) => row)]).toEqual([["2", "3", "4"], [{ id: 0 }]]);
    await harness.close();
  });

  test("a function that throws at once is retried like one that rejects, if the error is one to retry", async () => {
    const clock = new ManualClock(0);
    const calls: (readonly [number, number, number])[] = [];
    const fn = (row: In, { attempt }: { attempt: number }): Out => {
      calls.push([row.id, attempt, clock.now()]);
      throw new Error(row.id === 1 ? "fatal" : "busy");
    };
    const retry = { retries: 2, backoffMs: 100, retryIf: (error: unknown) => (error as Error).message === "busy" };
    const harness = await open({ fn, retry, random: () => 0 }, [], { clock });
    harness.push([0, 1].map((id) => ({ row: { id } })));
    for (let n = 0; n < 30; n++) {
      await ticks();
      harness.advance(10);
    }
    expect(calls).toEqual([
      [0, 1, 0],
      [1, 1, 0],
      [0, 2, 50],
      [0, 3, 150],
    ]);
    expect([harness.badRows.map(({ row }) => (row as In).id), harness.counters.get("retries")]).toEqual([[0, 1], 2]);
    await harness.close();
  });
});

test("the wait before retries doubles up to its limit, half of it random", () => {
  const options = { retries: 9, backoffMs: 100, maxBackoffMs: 1000 };
  expect([1, 2, 3, 4, 5, 60, 2000].map((retry) => backoffMs(options, retry, () => 0))).toEqual([50, 100, 200, 400, 500, 500, 500]);
  expect([1, 2, 5].map((retry) => backoffMs(options, retry, () => 0.999))).toEqual([99.95, 199.9, 999.5]);
});

test("a row keeps its values whatever becomes of the batch and whatever the function does to its object", async () => {
  const wide = schema({ raw: bytes(), id: int53() });
  const seen: unknown[] = [];
  const make = (spoil: boolean): ReturnType<typeof asyncMap> =>
    asyncMap({
      input: wide,
      output: wide,
      fn: async (row: { raw: Uint8Array; id: number }) => {
        await Promise.resolve();
        seen.push([...row.raw]);
        if (spoil) {
          row.raw.fill(0);
          return new Promise<never>(() => {});
        }
        return row;
      },
    });
  const first = await OperatorHarness.open({ factory: make(true), inputs: [wide] });
  const buffer = Uint8Array.of(1, 2, 3);
  first.push([{ row: { raw: buffer, id: 5 }, timeMs: 40, kind: "updateAfter" }]);
  buffer.fill(9);
  await ticks();
  const snapshot = first.snapshot();
  await first.close();
  const second = await OperatorHarness.open({ factory: make(false), inputs: [wide], snapshot });
  second.advance(0);
  await ticks();
  second.advance(0);
  expect([seen, second.take()]).toEqual([
    [
      [1, 2, 3],
      [1, 2, 3],
    ],
    [{ row: { raw: Uint8Array.of(1, 2, 3), id: 5 }, timeMs: 40, kind: "updateAfter" }],
  ]);
  await second.close();
});

test.each([{ capacity: 0 }, { timeoutMs: 0 }, { timeoutMs: 2 ** 31 }, { retry: { retries: -1 } }])(
  "options that cannot be are refused: %o",
  (options) => {
    expect(() => asyncMap({ input, output, fn: (row: In) => ({ id: row.id, text: "" }), ...options })).toThrow(
      expect.objectContaining({ code: "ASYNC_INVALID" }),
    );
  },
);
