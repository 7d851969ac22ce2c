// Flame graphs: the stacks and times of a CPU profile in speedscope's format.
import { expect, test } from "vitest";
import { speedscopeOf } from "./speedscope.ts";

const frame = (functionName: string, url = "", lineNumber = -1) => ({ functionName, url, lineNumber, columnNumber: 4 });

test("each sample is the stack of its calls, outermost first, for as long as until the next sample; idle time is left out", () => {
  const profile = {
    nodes: [
      { id: 1, callFrame: frame("(root)"), children: [2, 3, 6] },
      { id: 2, callFrame: frame("loop", "file:///loop.ts", 9), children: [4, 5] },
      { id: 3, callFrame: frame("(idle)") },
      { id: 4, callFrame: frame("process", "file:///window.ts", 19) },
      { id: 5, callFrame: frame("", "file:///job.ts", 2), children: [7] },
      { id: 6, callFrame: frame("(garbage collector)") },
      { id: 7, callFrame: frame("process", "file:///window.ts", 19) },
    ],
    startTime: 1000,
    endTime: 2000,
    samples: [4, 3, 7, 6, 2],
    timeDeltas: [100, 10, 500, 20, 30],
  };
  const { shared, profiles } = speedscopeOf(profile, "slot 0");
  const names = (stack: readonly number[] | undefined): readonly string[] =>
    (stack ?? []).map((number) => shared.frames[number]?.name ?? "");
  const [{ samples, weights, endValue }] = profiles;
  expect(samples.map(names)).toEqual([["loop", "process"], ["loop", "(anonymous)", "process"], ["(garbage collector)"]]);
  expect(weights).toEqual([10, 20, 30]);
  expect(endValue).toBe(60);
  // A function is one frame wherever it is called from; lines count from 1.
  expect(shared.frames.filter(({ name }) => name === "process")).toEqual([
    { name: "process", file: "file:///window.ts", line: 20, col: 5 },
  ]);
});

test("a profile without samples is an empty flame graph", () => {
  expect(speedscopeOf({ nodes: [], startTime: 0, endTime: 0 }, "none").profiles[0].samples).toEqual([]);
});
