// Each field of a StreamJob is in one of the reference's tables, and what the table says of `millrace run -f` is what it does.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import schema from "../../runtime/src/api/stream-job.schema.json" with { type: "json" };
import type { StreamJobManifest } from "../../runtime/src/api/index.ts";
import { configOfManifest, type RunConfig } from "../../runtime/src/cli/run/run-config.ts";

interface Shape {
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly anyOf?: readonly Shape[];
  readonly enum?: readonly unknown[];
  readonly type?: string | readonly string[];
}

/** The fields that hold values: `spec.job.module`. Pod templates, maps and resources are one field each. */
function fieldsOf(shape: Shape, path: string): readonly (readonly [path: string, shape: Shape])[] {
  if (path.endsWith(".podTemplate") || path.endsWith(".resources") || /deadLetters\.\w+$/.test(path)) return [[path, shape]];
  const variants = [shape, ...(shape.anyOf ?? [])].flatMap(({ properties }) => Object.entries(properties ?? {}));
  return variants.length === 0 ? [[path, shape]] : variants.flatMap(([name, each]) => fieldsOf(each, `${path}.${name}`));
}

const fields = new Map(fieldsOf((schema as { readonly properties: { readonly spec: Shape } }).properties.spec, "spec"));
const text = readFileSync(fileURLToPath(new URL("../../docs/reference/streamjob.md", import.meta.url)), "utf8");

/** The tables of the page: `millrace run` uses the first, on several slots the second too, and not the third. */
const tables = text
  .split(/^\| Field \| Default \| Meaning \|$/m)
  .slice(1)
  .map((table) =>
    [...table.matchAll(/^\| (`[^|]+`) \|/gm)].flatMap((row) => {
      let parent = "";
      return [...(row[1] as string).matchAll(/`([^`]+)`/g)].map(([, name = ""]) => {
        if (name.startsWith(".")) return parent + name;
        parent = name.slice(0, name.lastIndexOf("."));
        return name;
      });
    }),
  );

const minimal = { job: { module: "a.ts" } };
/** What makes a field count at all. */
const beside: Readonly<Record<string, object>> = {
  "spec.state.memoryBudget": { state: { backend: "rocksdb" } },
  "spec.restarts.maxFailures": { restarts: { strategy: "failure-rate" } },
  "spec.restarts.per": { restarts: { strategy: "failure-rate" } },
};
const samples: Readonly<Record<string, unknown>> = {
  "spec.job.module": "other.ts",
  "spec.job.parameters": { topic: "clicks" },
  "spec.vertexParallelism": { windows: 3 },
  "spec.badRecords.deadLetters.kafka": { brokers: ["a:1"], topic: "t" },
  "spec.badRecords.deadLetters.files": { path: "dead" },
  "spec.podTemplate": { metadata: { labels: { a: "b" } } },
};

/** A value that is not the default. */
function sampleOf(path: string, shape: Shape): unknown {
  if (path in samples) return samples[path];
  // Defaults are the first of an enumeration.
  if (shape.enum !== undefined) return shape.enum.at(-1);
  if (shape.type === "boolean") return true;
  if (shape.type === "integer" || Array.isArray(shape.type) || shape.anyOf !== undefined) return 77;
  return path.endsWith("storage") ? "file:///elsewhere" : path.endsWith("resources") || path.endsWith("podTemplate") ? {} : "some";
}

function configWith(path: string, value: unknown): RunConfig {
  const spec = structuredClone({ ...minimal, ...beside[path] }) as Record<string, unknown>;
  const names = path.split(".").slice(1);
  let at = spec;
  for (const name of names.slice(0, -1)) at = (at[name] ??= {}) as Record<string, unknown>;
  at[names.at(-1) as string] = value;
  const manifest = { apiVersion: "millrace.dev/v1alpha1", kind: "StreamJob", metadata: { name: "m" }, spec };
  return configOfManifest(manifest as unknown as StreamJobManifest, "/jobs/m.yaml", {});
}

const configWithout = (path: string): RunConfig =>
  configOfManifest(
    {
      apiVersion: "millrace.dev/v1alpha1",
      kind: "StreamJob",
      metadata: { name: "m" },
      spec: { ...minimal, ...beside[path] },
    } as StreamJobManifest,
    "/jobs/m.yaml",
    {},
  );

describe("the reference of StreamJob manifests", () => {
  test("has three tables, and each field of the schema in exactly one of them", () => {
    expect(tables.map(({ length }) => length > 3)).toEqual([true, true, true]);
    expect(tables.flat().sort()).toEqual([...fields.keys()].sort());
  });

  test.each([...(tables[0] ?? []), ...(tables[1] ?? [])])("%s changes what millrace run does", (path) => {
    expect(configWith(path, sampleOf(path, fields.get(path) ?? {}))).not.toEqual(configWithout(path));
  });

  test.each(tables[2] ?? [])("%s does not", (path) => {
    expect(configWith(path, sampleOf(path, fields.get(path) ?? {}))).toEqual(configWithout(path));
  });
});
