// What is made from the types of manifests is checked in as the types say, and is what the API server takes.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { outputs } from "../../../hack/crds/outputs.ts";

const root = fileURLToPath(new URL("../../..", import.meta.url));
const files = outputs();
const definitions = [...files].filter(([path]) => path.startsWith("crds/"));

interface Node {
  readonly description?: string;
  readonly type?: string;
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly additionalProperties?: Node;
  readonly "x-kubernetes-int-or-string"?: true;
  readonly "x-kubernetes-validations"?: readonly {
    readonly rule: string;
    readonly message?: string;
    readonly messageExpression?: string;
  }[];
}

interface Definition {
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly group: string;
    readonly names: { readonly kind: string; readonly shortNames: readonly string[]; readonly categories: readonly string[] };
    readonly versions: readonly [
      {
        readonly name: string;
        readonly schema: { readonly openAPIV3Schema: Node };
        readonly subresources: Readonly<Record<string, unknown>>;
      },
    ];
  };
}

const parsed = definitions.map(([, text]) => parse(text) as Definition);

function* nodes(node: Node, path: string): Generator<readonly [string, Node]> {
  yield [path, node];
  for (const [name, field] of Object.entries(node.properties ?? {})) yield* nodes(field, `${path}.${name}`);
  if (node.items !== undefined) yield* nodes(node.items, `${path}[]`);
  if (node.additionalProperties !== undefined) yield* nodes(node.additionalProperties, `${path}{}`);
}

test.each([...files.keys()])("%s is checked in as the types say; npm run crds writes it", (path) => {
  const text = readFileSync(`${root}${path}`, "utf8");
  const wanted = files.get(path) ?? "";
  if (path.endsWith(".json")) expect(JSON.parse(text)).toEqual(JSON.parse(wanted));
  else expect(text).toBe(wanted);
});

test("there are four kinds with their short names, in one category", () => {
  expect(parsed.map(({ spec }) => [spec.names.kind, spec.names.shortNames[0]])).toEqual([
    ["StreamJob", "sj"],
    ["EmbeddedStreamApp", "esa"],
    ["MicroBatchJob", "mbj"],
    ["Savepoint", "sp"],
  ]);
  for (const { spec } of parsed) {
    expect(spec.names.categories).toEqual(["millrace"]);
    expect(spec.group).toBe("millrace.dev");
    expect(Object.keys(spec.versions[0].subresources)).toContain("status");
  }
  expect(parsed.filter(({ spec }) => "scale" in spec.versions[0].subresources)).toHaveLength(2);
});

test("a definition fits into the annotation that client-side apply keeps", () => {
  for (const [path, text] of definitions) expect(Buffer.byteLength(text), path).toBeLessThan(256 * 1024);
});

test("every field is described, and every rule says what is wrong", () => {
  for (const { spec } of parsed) {
    const schema = spec.versions[0].schema.openAPIV3Schema;
    for (const [path, node] of nodes(schema, spec.names.kind)) {
      const isField = !path.endsWith("[]") && !path.endsWith("{}") && !path.endsWith(".metadata");
      if (isField) expect(node.description?.length ?? 0, path).toBeGreaterThan(3);
      if (node["x-kubernetes-int-or-string"] !== true) expect(node.type, path).toBeDefined();
      for (const rule of node["x-kubernetes-validations"] ?? [])
        expect(rule.message ?? rule.messageExpression, `${path}: ${rule.rule}`).toBeDefined();
    }
  }
});
