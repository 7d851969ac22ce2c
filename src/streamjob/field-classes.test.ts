// Each field of a StreamJob has a class, and the class decides whether a change needs a new run.
import { readFileSync } from "node:fs";
import type { StreamJobSpec } from "millrace/api";
import { expect, test } from "vitest";
import { allFieldClasses, type FieldClass } from "./field-classes.ts";
import { needsNewRun, type RevisionSpec, revisionName } from "./revision.ts";

const schema = JSON.parse(readFileSync(new URL("../../runtime/src/api/stream-job.schema.json", import.meta.url), "utf8")) as {
  readonly properties: { readonly spec: Node };
};
interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
}

const spec: StreamJobSpec = { image: "app:1", job: { module: "job.ts" }, checkpoints: { storage: "s3://a/b" } };

test("the table covers every field of the schema, and no other", () => {
  const table = allFieldClasses();
  const nested = ["job", "jobManager", "taskManager"];
  const fields = Object.entries(schema.properties.spec.properties ?? {}).flatMap(([name, node]) =>
    nested.includes(name) ? Object.keys(node.properties ?? {}).map((inner) => `${name}.${inner}`) : [name],
  );
  expect(fields.length).toBeGreaterThan(20);
  expect([...table.keys()].toSorted()).toEqual(fields.toSorted());
});

/** A change of each field: what it must lead to. */
const changes: readonly (readonly [string, Partial<StreamJobSpec>, FieldClass])[] = [
  ["image", { image: "app:2" }, "upgraded"],
  ["job.module", { job: { module: "other.ts" } }, "upgraded"],
  ["job.configMap", { job: { module: "job.ts", configMap: "files" } }, "upgraded"],
  ["job.parameters", { job: { module: "job.ts", parameters: { topic: "a" } } }, "upgraded"],
  ["job.initialSavepoint", { job: { module: "job.ts", initialSavepoint: "s3://a/b/c" } }, "ignored"],
  ["job.allowNonRestoredState", { job: { module: "job.ts", allowNonRestoredState: true } }, "upgraded"],
  ["suspend", { suspend: true }, "operation"],
  ["parallelism", { parallelism: 3 }, "scaled"],
  ["maxParallelism", { maxParallelism: 64 }, "upgraded"],
  ["vertexParallelism", { vertexParallelism: { count: 2 } }, "upgraded"],
  ["restarts", { restarts: {} }, "upgraded"],
  ["checkpoints", { checkpoints: { storage: "s3://a/c" } }, "upgraded"],
  ["exchange", { exchange: { flushTimeout: "1 ms" } }, "upgraded"],
  ["state", { state: { backend: "rocksdb" } }, "upgraded"],
  ["badRecords", { badRecords: { maxPerMinute: 1 } }, "upgraded"],
  ["upgrade", { upgrade: { mode: "last-state" } }, "ignored"],
  ["rollback", { rollback: { automatic: false } }, "ignored"],
  ["savepoints", { savepoints: { interval: "1 h" } }, "ignored"],
  ["deletion", { deletion: { policy: "drain" } }, "ignored"],
  ["restartNonce", { restartNonce: "1" }, "operation"],
  ["podTemplate", { podTemplate: { spec: { nodeName: "a" } } }, "upgraded"],
  ["jobManager.replicas", { jobManager: { replicas: 3 } }, "scaled"],
  ["jobManager.resources", { jobManager: { resources: { cpu: "1" } } }, "rolled"],
  ["jobManager.podTemplate", { jobManager: { podTemplate: { spec: {} } } }, "rolled"],
  ["taskManager.replicas", { taskManager: { replicas: 3 } }, "scaled"],
  ["taskManager.slots", { taskManager: { slots: 2 } }, "upgraded"],
  ["taskManager.resources", { taskManager: { resources: { cpu: "1" } } }, "upgraded"],
  ["taskManager.podTemplate", { taskManager: { podTemplate: { spec: {} } } }, "upgraded"],
  ["revisionHistoryLimit", { revisionHistoryLimit: 2 }, "ignored"],
];

test("every field has a sample change below", () => {
  expect(changes.map(([field]) => field).toSorted()).toEqual([...allFieldClasses().keys()].toSorted());
});

test.each(changes)("a change of %s is %s", (field, change, expected) => {
  const changed = { ...spec, ...change };
  expect(allFieldClasses().get(field)).toBe(expected);
  const same = revisionName("clicks", spec) === revisionName("clicks", changed);
  // Only what is rolled or upgraded makes a revision, and only what is upgraded needs a new run.
  expect(same).toBe(expected !== "rolled" && expected !== "upgraded");
  expect(needsNewRun(spec as RevisionSpec, changed as RevisionSpec)).toBe(expected === "upgraded");
});

test("a revision's name depends on values, not on the order of keys or on fields that are undefined", () => {
  const other: StreamJobSpec = { checkpoints: { storage: "s3://a/b" }, job: { module: "job.ts" }, image: "app:1" };
  expect(revisionName("clicks", other)).toBe(revisionName("clicks", spec));
});
