// Retries: which problems are worth them, how they spread, and when they end.
import { expect, it } from "vitest";
import { ManualClock } from "../../../base/clock.ts";
import { KafkaProblem, kindOfCode, problemOf, toMillraceError } from "./kafka-problem.ts";
import { retryDelayMs, retrying } from "./retry.ts";

async function run<T>(
  attempt: (count: number) => T,
  timeoutMs = 60_000,
): Promise<{ result: T | unknown; attempts: number; recovered: string[]; nowMs: number }> {
  const clock = new ManualClock();
  let attempts = 0;
  const recovered: string[] = [];
  const settled = retrying(
    { clock, timeoutMs, random: () => 1 },
    () => new Promise<T>((resolve) => resolve(attempt(attempts++))),
    (problem) => recovered.push(problem.kind),
  ).then(
    (result) => ({ result }),
    (error: unknown) => ({ result: error }),
  );
  const ended: { result: T | unknown }[] = [];
  void settled.then((value) => ended.push(value));
  while (ended.length === 0) {
    await new Promise((resolve) => setImmediate(resolve));
    if (ended.length === 0) clock.advance(5);
  }
  return { result: ended[0]?.result, attempts, recovered, nowMs: clock.now() };
}

const fail = (code: number): never => {
  throw problemOf(code, "Test");
};

it("repeats what may succeed later, telling why", async () => {
  const outcome = await run((count) => (count < 3 ? fail([51, 16, 6][count] as number) : "done"));
  expect(outcome).toMatchObject({ result: "done", attempts: 4, recovered: ["retry", "coordinator", "leader"] });
  expect(outcome.nowMs).toBeGreaterThanOrEqual(20 + 40 + 80);
});

it("gives up at once for what is fatal, fenced, or not Kafka's", async () => {
  for (const error of [problemOf(29, "x"), problemOf(90, "x"), new TypeError("bug")]) {
    const outcome = await run(() => {
      throw error;
    });
    expect(outcome).toMatchObject({ result: error, attempts: 1 });
  }
});

it("ends with the last problem when its time is over", async () => {
  const outcome = await run(() => fail(7), 300);
  expect(outcome.result).toBeInstanceOf(KafkaProblem);
  expect(outcome.nowMs).toBeLessThanOrEqual(300);
  expect(outcome.attempts).toBeGreaterThan(2);
});

it("waits longer each time, up to a second, never less than half of that", () => {
  expect([0, 1, 2, 5, 6, 30].map((n) => retryDelayMs(n, () => 1))).toEqual([20, 40, 80, 640, 1000, 1000]);
  expect(retryDelayMs(30, () => 0)).toBe(500);
});

it("gives a person the code, the subject and what to do", () => {
  const cases: readonly (readonly [number, string])[] = [
    [1, "KAFKA_OFFSET_OUT_OF_RANGE"],
    [3, "KAFKA_TOPIC_MISSING"],
    [10, "KAFKA_RECORD_TOO_LARGE"],
    [29, "KAFKA_NOT_AUTHORIZED"],
    [32, "KAFKA_TIMESTAMP_REFUSED"],
    [50, "KAFKA_TRANSACTION_TIMEOUT"],
    [58, "KAFKA_AUTH_FAILED"],
    [90, "KAFKA_FENCED"],
    [49, "KAFKA_TRANSACTION_LOST"],
    [999, "KAFKA_REQUEST_FAILED"],
  ];
  for (const [code, expected] of cases) {
    const error = toMillraceError(problemOf(code, "Request"), "topic t");
    expect(error).toMatchObject({ code: expected, subject: "topic t" });
    expect(error.message).toContain("Request");
  }
  expect(toMillraceError(new KafkaProblem("network", "gone"), "Kafka").code).toBe("KAFKA_BROKER_UNREACHABLE");
  expect(kindOfCode(999)).toBe("fatal");
});
