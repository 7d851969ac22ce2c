// Where tasks run: near what they need, elsewhere after a failure, twice when they are slow, never on nobody's account.
import { describe, expect, test } from "vitest";
import { TaskSet, type TaskSetOptions } from "./task-set.ts";

const options: TaskSetOptions = { maxAttempts: 3, localityWaitMs: 1000, speculation: undefined };
const make = (tasks: Record<string, string | undefined>, more: Partial<TaskSetOptions> = {}): TaskSet =>
  new TaskSet(
    Object.entries(tasks).map(([id, preferred]) => ({ id, preferred })),
    { ...options, ...more },
    0,
  );
const places = (free: Record<string, number>): { executorId: string; freeSlots: number }[] =>
  Object.entries(free).map(([executorId, freeSlots]) => ({ executorId, freeSlots }));
const brief = (made: ReturnType<TaskSet["next"]>): string[] =>
  made.map(({ taskId, attempt, executorId }) => `${taskId}.${attempt}@${executorId}`);

describe("a task", () => {
  test("goes where its state is", () => {
    const set = make({ x: "b", y: "a" });
    expect(brief(set.next(places({ a: 2, b: 2 }), 0))).toEqual(["x.0@b", "y.0@a"]);
  });

  test("waits a while for that executor when it is busy, and not when it is gone", () => {
    const busy = make({ x: "b" });
    expect(busy.next(places({ a: 1, b: 0 }), 999)).toEqual([]);
    expect(brief(busy.next(places({ a: 1, b: 0 }), 1000))).toEqual(["x.0@a"]);
    expect(brief(make({ x: "gone" }).next(places({ a: 1 }), 0))).toEqual(["x.0@a"]);
  });

  test("without a wish goes where there is most room, and never beyond it", () => {
    const set = make({ x: undefined, y: undefined, z: undefined, w: undefined });
    expect(brief(set.next(places({ a: 1, b: 2 }), 0))).toEqual(["x.0@b", "y.0@a", "z.0@b"]);
    expect(set.next(places({ a: 0, b: 0 }), 10)).toEqual([]);
    expect(set.hasPending).toBe(true);
  });

  test("that failed is tried elsewhere first, and its step fails with its last attempt", () => {
    const set = make({ x: "a" });
    set.next(places({ a: 1, b: 1 }), 0);
    expect(set.failed("x", 0, false, 1)).toBe("again");
    expect(brief(set.next(places({ a: 1, b: 1 }), 1))).toEqual(["x.1@b"]);
    expect(set.failed("x", 1, false, 2)).toBe("again");
    // Both have failed it: it is tried again all the same.
    expect(set.next(places({ a: 1, b: 1 }), 2)).toHaveLength(1);
    expect(set.failed("x", 2, false, 3)).toBe("over");
  });

  test("is not sent back to where it failed while another executor is only busy", () => {
    const set = make({ x: undefined });
    set.next(places({ a: 1, b: 0 }), 0);
    set.failed("x", 0, false, 1);
    expect(set.next(places({ a: 1, b: 0 }), 2)).toEqual([]);
  });

  test("whose failure is its own is not tried again", () => {
    const set = make({ x: undefined });
    set.next(places({ a: 1 }), 0);
    expect(set.failed("x", 0, true, 1)).toBe("over");
  });

  test("of an executor that is gone is tried again without counting", () => {
    const set = make({ x: "a" }, { maxAttempts: 1 });
    for (let times = 0; times < 5; times++) {
      expect(set.next(places({ a: 1 }), times)).toHaveLength(1);
      set.lost("a", times);
    }
    set.next(places({ a: 1 }), 9);
    expect(set.succeeded("x", 5, 10)).toEqual({ counts: true, cancel: [] });
    expect(set.isDone).toBe(true);
  });
});

describe("a slow task", () => {
  const speculation = { times: 2, leastMs: 100 };

  test("is started a second time elsewhere once the others have ended; the first to end counts", () => {
    const set = make({ x: undefined, y: undefined }, { speculation });
    expect(brief(set.next(places({ a: 1, b: 1 }), 0))).toEqual(["x.0@a", "y.0@b"]);
    expect(set.next(places({ a: 0, b: 0 }), 5000)).toEqual([]);
    set.succeeded("y", 0, 60);
    expect(set.next(places({ a: 0, b: 1 }), 119)).toEqual([]);
    expect(brief(set.next(places({ a: 0, b: 1 }), 121))).toEqual(["x.1@b"]);
    // A third time it is not.
    expect(set.next(places({ a: 0, b: 0, c: 1 }), 5000)).toEqual([]);
    expect(set.succeeded("x", 1, 130)).toEqual({ counts: true, cancel: [{ taskId: "x", attempt: 0, executorId: "a" }] });
    expect(set.succeeded("x", 0, 140)).toEqual({ counts: false, cancel: [] });
  });

  test("is not started twice on one executor, nor at all without the option", () => {
    const set = make({ x: undefined, y: undefined }, { speculation });
    set.next(places({ a: 2 }), 0);
    set.succeeded("y", 0, 10);
    expect(set.next(places({ a: 1 }), 5000)).toEqual([]);
    const plain = make({ x: undefined, y: undefined });
    plain.next(places({ a: 1, b: 1 }), 0);
    plain.succeeded("y", 0, 10);
    expect(plain.next(places({ a: 1, b: 1 }), 5000)).toEqual([]);
  });

  test("lets the first go on when the second one fails", () => {
    const set = make({ x: undefined, y: undefined }, { speculation });
    set.next(places({ a: 1, b: 1 }), 0);
    set.succeeded("y", 0, 10);
    set.next(places({ a: 0, b: 1 }), 500);
    set.failed("x", 1, false, 510);
    expect(set.hasPending).toBe(false);
    expect(set.succeeded("x", 0, 600).counts).toBe(true);
  });
});
