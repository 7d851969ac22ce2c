// The state that the control topic stands for: what comes first decides, nothing undoes it, and a compacted topic says the same as the whole one.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { applyRecord, type ControlRecord, type ControlState, cutKey, emptyControl, keyOf, stoppedWith } from "./control-state.ts";

const ack = { checkpointId: 1, files: [], subtasks: [], writtenBytes: 0 };
const round = (attempt: number, mode: "keep" | "stop" = "keep", by = "p"): ControlRecord => ({
  ...{ kind: "round", id: `s${attempt}${by}`, attempt, mode, by, checkpointId: attempt, taskCount: 2 },
});
const cut = (attempt: number, task: string): ControlRecord => ({ kind: "cut", attempt, task, ack });
const aborted = (attempt: number, by = "p"): ControlRecord => ({ kind: "aborted", attempt, by, reason: "a task moved" });
const published = (attempt: number): ControlRecord => ({
  ...{ kind: "published", attempt },
  result: { id: `s${attempt}`, url: "file:///s", checkpointId: 1, totalBytes: 1, formatVersion: 1, cutAtMs: 1, completedAtMs: 1 },
});
const origin = (generation: number): ControlRecord => ({
  ...{ kind: "origin", generation, restoreId: `r${generation}`, location: "file:///s", checkpointId: 7 },
});
const read = (...records: readonly ControlRecord[]): ControlState => records.reduce(applyRecord, emptyControl);

describe("a round", () => {
  test("is cut with the last task, and an abort behind that comes too late", () => {
    const certain = read(round(1, "stop"), cut(1, "a"), cut(1, "b"), aborted(1));
    expect([certain.round?.phase, stoppedWith(certain)]).toEqual(["cut", "s1p"]);
  });

  test("that was aborted first is void, whatever cuts come behind", () => {
    const failed = read(round(1, "stop"), cut(1, "a"), aborted(1), cut(1, "b"), cut(1, "a"));
    expect([failed.round?.phase, stoppedWith(failed)]).toEqual(["aborted", undefined]);
  });

  test("is not disturbed by another one, nor by records of other attempts", () => {
    const state = read(round(1), round(1, "stop", "q"), round(2, "stop"), cut(2, "a"), cut(2, "b"), aborted(2), cut(1, "a"));
    expect(state.round).toMatchObject({ id: "s1p", phase: "cutting" });
  });

  test("that stopped the application stays the last one until a restore", () => {
    const stopped = [round(1, "stop"), cut(1, "a"), cut(1, "b"), published(1)];
    expect(stoppedWith(read(...stopped, round(2)))).toBe("s1p");
    expect(stoppedWith(read(...stopped, origin(1)))).toBeUndefined();
    expect(read(...stopped, origin(1), round(2)).round?.phase).toBe("cutting");
  });
});

/** What compaction may leave: of some prefix, only the last record of each key; deleted keys are gone. */
function compacted(log: readonly Entry[], upTo: number): readonly Entry[] {
  const last = new Map(log.slice(0, upTo).map((entry, place) => [entry.key, place]));
  return log.filter((entry, place) => place >= upTo || (last.get(entry.key) === place && entry.record !== undefined));
}
interface Entry {
  readonly key: string;
  readonly record: ControlRecord | undefined;
}

test("compaction changes nothing", () => {
  const attempt = fc.integer({ min: 1, max: 4 });
  const process = fc.constantFrom("p", "q");
  const record: fc.Arbitrary<ControlRecord> = fc.oneof(
    fc.tuple(attempt, fc.constantFrom("keep" as const, "stop" as const), process).map(([n, mode, by]) => round(n, mode, by)),
    { weight: 4, arbitrary: fc.tuple(attempt, fc.constantFrom("a", "b")).map(([n, task]) => cut(n, task)) },
    fc.tuple(attempt, process).map(([n, by]) => aborted(n, by)),
    fc.constant("publish" as never),
    fc.integer({ min: 1, max: 3 }).map(origin),
  );
  fc.assert(
    fc.property(fc.array(record, { maxLength: 40 }), fc.nat(), (drawn, seed) => {
      const log: Entry[] = [];
      const written = new Set<string>();
      let state = emptyControl;
      for (const each of drawn) {
        let next = each;
        if ((each as unknown) === "publish") {
          if (state.round?.phase !== "cut") continue;
          next = published(state.round.attempt);
        }
        // A process writes a round or an abort of an attempt once, and a task makes one cut in it.
        const once = JSON.stringify([next.kind, "attempt" in next && next.attempt, "by" in next && next.by, "task" in next && next.task]);
        if (next.kind !== "origin" && written.has(once)) continue;
        written.add(once);
        log.push({ key: keyOf(next), record: next });
        state = applyRecord(state, next);
        if (next.kind !== "published") continue;
        for (const task of ["a", "b"]) log.push({ key: cutKey(next.attempt, task), record: undefined });
      }
      const left = compacted(log, seed % (log.length + 1)).flatMap((entry) => entry.record ?? []);
      const again = read(...left);
      const said = ({ origin: from, round: now }: ControlState): unknown => [from, now?.id, now?.attempt, now?.phase, now?.result];
      expect([said(again), stoppedWith(again)]).toEqual([said(state), stoppedWith(state)]);
    }),
    { numRuns: 2000 },
  );
});
