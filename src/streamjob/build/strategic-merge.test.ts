// Merging of pod templates, against what kubectl's strategic merge patch documents.
import { expect, test } from "vitest";
import { strategicMerge } from "./strategic-merge.ts";

const container = (name: string, more: object = {}): object => ({ name, ...more });

test("fields of objects merge at every depth, and the later value wins", () => {
  const base = { metadata: { labels: { a: "1", b: "2" } }, spec: { nodeSelector: { disk: "ssd" }, priority: 1 } };
  const over = { metadata: { labels: { b: "3", c: "4" } }, spec: { priority: 2 } };
  expect(strategicMerge(base, over)).toEqual({
    metadata: { labels: { a: "1", b: "3", c: "4" } },
    spec: { nodeSelector: { disk: "ssd" }, priority: 2 },
  });
});

test("null takes a field away, undefined leaves it", () => {
  expect(strategicMerge({ a: 1, b: 2 }, { a: null, b: undefined })).toEqual({ b: 2 });
});

test.each([
  [
    "containers",
    "name",
    [container("millrace", { image: "a" }), container("side")],
    [container("millrace", { image: "b" }), container("log")],
  ],
  [
    "volumeMounts",
    "mountPath",
    [{ mountPath: "/x", name: "a" }, { mountPath: "/y" }],
    [{ mountPath: "/x", name: "b" }, { mountPath: "/z" }],
  ],
  [
    "ports",
    "containerPort",
    [{ containerPort: 1, name: "a" }, { containerPort: 2 }],
    [{ containerPort: 1, name: "b" }, { containerPort: 3 }],
  ],
  ["hostAliases", "ip", [{ ip: "10.0.0.1", name: "a" }, { ip: "10.0.0.2" }], [{ ip: "10.0.0.1", name: "b" }, { ip: "10.0.0.3" }]],
] as const)("elements of %s are the same when their %s is", (field, key, base, over) => {
  const merged = (strategicMerge({ [field]: base }, { [field]: over }) as Record<string, Record<string, unknown>[]>)[field] ?? [];
  const keyOf = (one: object): unknown => (one as Record<string, unknown>)[key];
  expect(merged.map(keyOf)).toEqual([...base.map(keyOf), keyOf(over[1])]);
  expect(merged[0]).toMatchObject(over[0]);
});

test("environment variables of a container merge by their name, inside of the container with that name", () => {
  const base = {
    containers: [
      container("millrace", {
        env: [
          { name: "A", value: "1" },
          { name: "B", value: "2" },
        ],
      }),
    ],
  };
  const over = { containers: [container("millrace", { env: [{ name: "B", value: "3" }] })] };
  expect(strategicMerge(base, over)).toEqual({
    containers: [
      container("millrace", {
        env: [
          { name: "A", value: "1" },
          { name: "B", value: "3" },
        ],
      }),
    ],
  });
});

test("$patch: delete takes an element away; one that is not there is no error", () => {
  const base = { volumes: [{ name: "a" }, { name: "b" }] };
  const over = {
    volumes: [
      { name: "a", $patch: "delete" },
      { name: "c", $patch: "delete" },
    ],
  };
  expect(strategicMerge(base, over)).toEqual({ volumes: [{ name: "b" }] });
});

test("tolerations and sources of environments add up, other lists are replaced", () => {
  const base = { tolerations: [{ key: "a" }], envFrom: [{ secretRef: { name: "a" } }], args: ["a", "b"], finalizers: ["x"] };
  const over = { tolerations: [{ key: "b" }], envFrom: [{ secretRef: { name: "b" } }], args: ["c"], finalizers: ["y"] };
  expect(strategicMerge(base, over)).toEqual({
    tolerations: [{ key: "a" }, { key: "b" }],
    envFrom: [{ secretRef: { name: "a" } }, { secretRef: { name: "b" } }],
    args: ["c"],
    finalizers: ["y"],
  });
});

test("a value of another shape replaces, and neither argument is changed", () => {
  const base = Object.freeze({ affinity: Object.freeze({ nodeAffinity: {} }), containers: Object.freeze([Object.freeze(container("a"))]) });
  const over = Object.freeze({ affinity: "none", containers: Object.freeze([container("a", { image: "x" })]) });
  expect(strategicMerge(base, over)).toEqual({ affinity: "none", containers: [container("a", { image: "x" })] });
  expect(strategicMerge(undefined, over)).toBe(over);
  expect(strategicMerge(base, undefined)).toBe(base);
});
