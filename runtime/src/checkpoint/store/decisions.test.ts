// The pure decisions: which parts make up a state, when to compact, what to keep, who gets which entries, what may be restored.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { isMillraceError } from "../../base/errors.ts";
import type { Manifest } from "../format/manifest.ts";
import { decideCompaction, defaultCompaction } from "./compaction-policy.ts";
import { clippedTo, type StatePart, withoutRange, withParts } from "./lineage.ts";
import { redistribute } from "./redistribute.ts";
import { checkRestore } from "./restore-check.ts";
import { retain } from "./retention.ts";

function part(kind: "base" | "delta", checkpointId: number, from: number, to: number, more: Partial<StatePart> = {}): StatePart {
  return {
    path: `data/${kind}-${checkpointId}`,
    part: kind === "base" ? "base" : "changes",
    kind,
    checkpointId,
    from,
    to,
    sizeBytes: 100,
    specIds: ["s"],
    ...more,
  };
}
const brief = (parts: readonly StatePart[]): readonly string[] =>
  parts.map((one) => `${one.kind}-${one.checkpointId} ${one.from}..${one.to}`);

describe("the parts of a state", () => {
  test.each<[string, readonly StatePart[], readonly StatePart[], readonly string[]]>([
    ["deltas are appended", [part("delta", 1, 0, 8)], [part("delta", 2, 0, 8)], ["delta-1 0..8", "delta-2 0..8"]],
    [
      "a base takes the place of what came before its scan began",
      [part("base", 1, 0, 8, { sinceCheckpointId: 0 }), part("delta", 2, 0, 8), part("delta", 3, 0, 8), part("delta", 4, 0, 8)],
      [part("base", 5, 0, 8, { sinceCheckpointId: 3 }), part("delta", 5, 0, 8)],
      ["base-5 0..8", "delta-4 0..8", "delta-5 0..8"],
    ],
    [
      "a base takes the place of an earlier one, also of one that was published after its scan began",
      [part("base", 5, 0, 8, { sinceCheckpointId: 3 }), part("delta", 5, 0, 8)],
      [part("base", 7, 0, 8, { sinceCheckpointId: 4 })],
      ["base-7 0..8", "delta-5 0..8"],
    ],
    [
      "only in its own range",
      [part("base", 1, 0, 8), part("delta", 2, 0, 8)],
      [part("base", 3, 2, 4, { sinceCheckpointId: 2 })],
      ["base-1 0..2", "base-1 4..8", "base-3 2..4", "delta-2 0..2", "delta-2 4..8"],
    ],
    [
      "the same again changes nothing",
      [part("delta", 1, 0, 8), part("delta", 2, 0, 8)],
      [part("delta", 2, 2, 6), part("delta", 1, 0, 8)],
      ["delta-1 0..8", "delta-2 0..8"],
    ],
    [
      "a delta that a base contains is not taken again",
      [part("base", 5, 0, 4, { sinceCheckpointId: 3 })],
      [part("delta", 3, 0, 8)],
      ["base-5 0..4", "delta-3 4..8"],
    ],
    ["neighbours in one file are one part", [], [part("delta", 1, 0, 4), part("delta", 1, 4, 8)], ["delta-1 0..8"]],
  ])("%s", (_name, list, added, expected) => {
    expect(brief(withParts(list, added))).toEqual(expected);
  });

  test("cutting a range out and clipping to it share a part's key groups out", () => {
    const range = fc.tuple(fc.nat(20), fc.integer({ min: 1, max: 20 })).map(([from, width]) => ({ from, to: from + width }));
    fc.assert(
      fc.property(range, range, (own, cut) => {
        const whole = part("delta", 1, own.from, own.to);
        const pieces = [...withoutRange(whole, cut), ...[clippedTo(whole, cut)].filter((one) => one !== undefined)];
        const groups = pieces.flatMap((one) => Array.from({ length: one.to - one.from }, (_, i) => one.from + i)).sort((a, b) => a - b);
        expect(groups).toEqual(Array.from({ length: own.to - own.from }, (_, i) => own.from + i));
      }),
    );
  });
});

describe("compaction", () => {
  const options = { ...defaultCompaction, deltaRatio: 1, minDeltaBytes: 500, maxDeltas: 4, smallBaseBytes: 1000 };
  const deltas = (sizes: readonly number[]): StatePart[] => sizes.map((sizeBytes, i) => part("delta", 10 + i, 0, 8, { sizeBytes }));
  test.each<[string, number, readonly number[], string]>([
    ["nothing to do", 10_000, [100, 100], "none"],
    ["deltas as large as the base", 600, [400, 300], "base"],
    ["but not for a few bytes", 10, [200, 200], "none"],
    ["many deltas on a small base", 900, [1, 1, 1, 1, 1], "base"],
    ["many deltas on a large base", 100_000, [1, 1, 1, 1, 1], "roll 10,11,12,13,14"],
    ["a large delta is left alone until there is as much again", 100_000, [1000, 10, 10, 10, 10], "roll 11,12,13,14"],
  ])("%s", (_name, baseBytes, sizes, expected) => {
    const decided = decideCompaction([part("base", 1, 0, 8, { sizeBytes: baseBytes }), ...deltas(sizes)], { from: 0, to: 8 }, options);
    expect(decided.kind === "roll" ? `roll ${decided.parts.map((one) => one.checkpointId).join(",")}` : decided.kind).toBe(expected);
  });

  test("a job's first capture counts as a base", () => {
    expect(decideCompaction(deltas([10_000, 400, 300]), { from: 0, to: 8 }, options).kind).toBe("none");
  });

  test("only what lies in the range counts", () => {
    const list = [part("base", 1, 0, 8, { sizeBytes: 800 }), part("delta", 2, 0, 4, { sizeBytes: 5000 })];
    expect(decideCompaction(list, { from: 0, to: 4 }, options).kind).toBe("base");
    expect(decideCompaction(list, { from: 4, to: 8 }, options).kind).toBe("none");
  });
});

describe("retention", () => {
  const entries = [9, 8, 7, 5, 4].map((checkpointId) => ({
    checkpointId,
    epoch: 1,
    path: `chk-${checkpointId}/manifest.json`,
    sha256: "",
    createdMs: checkpointId * 100,
  }));
  const kept = (count: number, maxAgeMs: number, pinned: readonly number[]): readonly number[] =>
    retain(entries, { count, maxAgeMs }, 1000, new Set(pinned)).kept.map((entry) => entry.checkpointId);
  test.each<[string, number, number, readonly number[], readonly number[]]>([
    ["by count", 3, Number.POSITIVE_INFINITY, [], [9, 8, 7]],
    ["by age", 5, 250, [], [9, 8]],
    ["the latest stays however old", 5, 0, [], [9]],
    ["what is being read stays", 1, Number.POSITIVE_INFINITY, [5], [9, 5]],
  ])("%s", (_name, count, maxAgeMs, pinned, expected) => {
    expect(kept(count, maxAgeMs, pinned)).toEqual(expected);
  });
});

describe("redistribution", () => {
  const entry = (key: string): { key: string; value: Uint8Array } => ({ key, value: new Uint8Array([key.length]) });
  const parts = [
    { subtask: 1, entries: ["d", "e"].map(entry) },
    { subtask: 0, entries: ["a", "b", "c"].map(entry) },
  ];
  const keysOf = (redistribution: "split" | "union" | "broadcast", parallelism: number): readonly string[] =>
    Array.from({ length: parallelism }, (_, subtask) =>
      redistribute(redistribution, parts, 2, subtask, parallelism)
        .map(({ key }) => key)
        .join(""),
    );
  test.each<["split" | "union" | "broadcast", number, readonly string[]]>([
    ["split", 2, ["abc", "de"]],
    ["split", 1, ["abcde"]],
    ["split", 3, ["a", "bc", "de"]],
    ["split", 7, ["", "a", "b", "", "c", "d", "e"]],
    ["union", 2, ["abcde", "abcde"]],
    ["broadcast", 3, ["abc", "abc", "abc"]],
  ])("%s over %i", (redistribution, parallelism, expected) => {
    expect(keysOf(redistribution, parallelism)).toEqual(expected);
  });
});

describe("the check before a restore", () => {
  const operator = (kind: string): Manifest["operators"][string] => ({
    kind,
    parallelism: 1,
    watermarkMs: null,
    tables: [],
    state: [],
    lists: [],
  });
  const manifest = { maxParallelism: 128, operators: { count: operator("windowAggregate"), in: operator("source") } };
  const check = (nodes: readonly [string, string][], allowNonRestoredState = false, maxParallelism = 128): unknown => {
    try {
      return checkRestore(
        manifest,
        nodes.map(([uid, kind]) => ({ uid, kind })),
        { allowNonRestoredState, maxParallelism },
        "file:///s",
      );
    } catch (error) {
      if (!isMillraceError(error)) throw error;
      return `${error.code}: ${error.message}`;
    }
  };
  const same: readonly [string, string][] = [
    ["in", "source"],
    ["count", "windowAggregate"],
  ];

  test("the same operators, and new ones, are fine", () => {
    expect(check([...same, ["top", "topN"]])).toEqual({ restored: ["count", "in"], dropped: [], fresh: ["top"] });
  });
  test("state without an owner is refused and named, with the uids that have none there", () => {
    expect(
      check([
        ["in", "source"],
        ["counts", "windowAggregate"],
      ]),
    ).toBe(
      'SAVEPOINT_UID_UNUSED: file:///s: it has state of "count", which the job does not have (without state there: "counts"); give the operator its earlier uid, or set allowNonRestoredState to drop that state',
    );
    expect(check([["in", "source"]], true)).toEqual({ restored: ["in"], dropped: ["count"], fresh: [] });
  });
  test("another kind of operator is refused even when state may be dropped", () => {
    expect(
      check(
        [
          ["in", "source"],
          ["count", "topN"],
        ],
        true,
      ),
    ).toBe(
      'SAVEPOINT_KIND_MISMATCH: file:///s: operators have changed their kind: "count" was windowAggregate and is topN; give the new operator a uid of its own',
    );
  });
  test("another maxParallelism is refused", () => {
    expect(check(same, false, 256)).toBe(
      "SAVEPOINT_MAX_PARALLELISM: file:///s: it was taken with maxParallelism 128, the job has 256; set maxParallelism to 128: it is fixed for a job's life, since keys are assigned by it",
    );
  });
});
