// The manifests of the documentation can be applied: they are what our loader and the custom resource definitions take, and the fields that texts name exist.
import { mkdtempSync, globSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import { embedded, environmentConfig } from "millrace/embedded";
import { afterAll, describe, expect, test } from "vitest";
import { parse, parseAllDocuments } from "yaml";
import routes from "../../docs/examples/frames/routes.ts";
import wordCount from "../../docs/examples/word-count/word-count.ts";
import type { EmbeddedStreamAppManifest, MicroBatchJobManifest } from "../../runtime/src/api/index.ts";
import { loadAnyManifest } from "../../runtime/src/cli/manifest/load-manifest.ts";
import { batchConfig, withTrigger } from "../../runtime/src/cli/run/batch-config.ts";
import { statefulSet } from "../../src/embedded/build/stateful-set.ts";
import { newAppRevision } from "../../src/embedded/revision.ts";
import type { EmbeddedStreamApp } from "../../src/ports/objects.ts";
import { codeBlocks } from "./doc-checks.ts";

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly additionalProperties?: Node;
  readonly items?: Node;
  readonly "x-kubernetes-preserve-unknown-fields"?: true;
}

interface Definition {
  readonly spec: {
    readonly names: { readonly kind: string };
    readonly versions: readonly [{ readonly schema: { readonly openAPIV3Schema: Node } }];
  };
}

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string): string => readFileSync(root + path, "utf8");
const definitions = new Map(
  globSync("crds/*.yaml", { cwd: root }).map((path) => {
    const { spec } = parse(read(path)) as Definition;
    return [spec.names.kind, spec.versions[0].schema.openAPIV3Schema] as const;
  }),
);

/** As the API server's strict field validation sees it: an object has the fields that are named, and metadata is its own affair. */
function strict(node: Node): object {
  const { properties, items, additionalProperties, "x-kubernetes-preserve-unknown-fields": open, ...rest } = node;
  const isClosed = properties !== undefined && open !== true;
  return {
    ...rest,
    ...(properties === undefined ? {} : { properties: Object.fromEntries(Object.entries(properties).map(([k, v]) => [k, strict(v)])) }),
    ...(items === undefined ? {} : { items: strict(items) }),
    ...(additionalProperties === undefined
      ? isClosed
        ? { additionalProperties: false }
        : {}
      : { additionalProperties: strict(additionalProperties) }),
  };
}

const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
const validators = new Map([...definitions].map(([kind, schema]) => [kind, ajv.compile(strict(schema))]));

function definitionFindings(manifest: { readonly kind: string }): readonly string[] {
  const validate = validators.get(manifest.kind);
  if (validate === undefined) return [`there is no kind ${manifest.kind}`];
  return validate(manifest) ? [] : (validate.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);
}

const folder = mkdtempSync(join(tmpdir(), "manifests-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** Every manifest of ours in a text of one or several documents, each in a file of its own, as `millrace up -f` takes it. */
function manifestsIn(name: string, text: string): readonly (readonly [name: string, path: string])[] {
  return parseAllDocuments(text)
    .map((document) => document.toJS() as { readonly apiVersion?: string; readonly kind?: string } | null)
    .filter((value) => value?.apiVersion === "millrace.dev/v1alpha1" && value.kind !== "Savepoint")
    .map((value, index) => {
      const path = join(folder, `${name.replaceAll(/\W/g, "-")}-${index}.yaml`);
      writeFileSync(path, JSON.stringify(value));
      return [`${name} (${value?.kind})`, path] as const;
    });
}

const documents = ["README.md", ...globSync("docs/**/*.md", { cwd: root })];
const examples = globSync("docs/examples/**/*.yaml", { cwd: root });
const manifests = [
  ...examples.flatMap((path) => manifestsIn(path, read(path))),
  ...documents.flatMap((path) =>
    codeBlocks(read(path))
      .filter(({ language, info }) => language === "yaml" && info === "")
      .flatMap(({ line, code }) => manifestsIn(`${path}:${line}`, code)),
  ),
];

test("there are manifests of every kind that runs jobs, among the examples and in the pages", () => {
  for (const kind of ["StreamJob", "EmbeddedStreamApp", "MicroBatchJob"])
    expect(manifests.map(([name]) => name).filter((name) => name.startsWith("docs/examples/") && name.includes(kind))).not.toEqual([]);
  expect(manifests.some(([name]) => name.startsWith("docs/reference/"))).toBe(true);
});

test.each(manifests)("%s is what our loader and its definition take", async (_name, path) => {
  expect(definitionFindings(await loadAnyManifest(path))).toEqual([]);
});

test("a definition refuses what it does not know, and values that it does not take", async () => {
  const manifest = (await loadAnyManifest(`${root}docs/examples/kubernetes/word-count.yaml`)) as EmbeddedStreamAppManifest;
  const { topics: _, ...spec } = manifest.spec;
  expect(definitionFindings({ ...manifest, spec: { ...spec, topic: "lines" } } as never).toSorted()).toEqual([
    "/spec must NOT have additional properties",
    "/spec must have required property 'topics'",
  ]);
  expect(definitionFindings({ ...manifest, spec: { ...manifest.spec, standbys: 9 } } as never)).toEqual(["/spec/standbys must be <= 5"]);
});

const has = (node: Node | undefined, [name, ...rest]: readonly string[]): boolean =>
  node !== undefined &&
  (name === undefined ||
    (node.properties === undefined ? rest.length === 0 || has(node.additionalProperties, rest) : has(node.properties[name], rest)));

/** Names such as `spec.job.module`, `status.lastUpgrade.gapMs` and `scaling.maxReplicas` in a text that no kind has. */
function unknownFields(text: string): readonly string[] {
  const kinds = [...definitions.values()];
  const first = new Set(kinds.flatMap(({ properties }) => Object.keys(properties?.["spec"]?.properties ?? {})));
  // `state.value` and the like are functions of the API.
  first.delete("state");
  const named = [...text.replaceAll(/^```[\s\S]*?^```$/gm, "").matchAll(/`((?:[a-z]\w*)(?:\.[a-z]\w*)+)(?:: [^`]*)?`/g)].map(
    ([, name = ""]) => name,
  );
  return named.filter((name) => {
    const path = name.split(".");
    const whole = path[0] === "spec" || path[0] === "status" ? path : ["spec", ...path];
    if (whole.length === path.length || first.has(path[0] ?? "")) return !kinds.some((kind) => has(kind, whole));
    return false;
  });
}

describe("the fields that the guide names", () => {
  test.each(globSync("docs/guide/*.md", { cwd: root }))("%s: are fields of a kind", (path) => {
    expect(unknownFields(read(path))).toEqual([]);
  });

  test("a name that no kind has is found", () => {
    const text =
      "`scaling.maxReplicas`, `scaling.replicas`, `spec.topic.name`, `status.nothing.more`, `job.module`, `update.mode: savepoint`, `no.field`";
    expect(unknownFields(text)).toEqual(["scaling.replicas", "spec.topic.name", "status.nothing.more"]);
  });
});

test("word-count: the service takes what the operator's pods are given", async () => {
  const manifest = (await loadAnyManifest(`${root}docs/examples/kubernetes/word-count.yaml`)) as EmbeddedStreamAppManifest;
  const app = { ...manifest, metadata: { ...manifest.metadata, namespace: "shop", uid: "1" } } as EmbeddedStreamApp;
  const { template } = statefulSet({
    app,
    revision: newAppRevision(app, 1),
    replicas: 2,
    partition: 0,
    restoredFrom: undefined,
    restoreId: undefined,
  }).spec as { readonly template: { readonly spec: { readonly containers: readonly { env: { name: string; value?: string }[] }[] } } };
  const env = Object.fromEntries((template.spec.containers[0]?.env ?? []).map(({ name, value = "word-count-app-0" }) => [name, value]));
  const config = environmentConfig(env);
  expect(config).toMatchObject({
    applicationId: "word-count",
    instanceId: "word-count-app-0",
    parameters: { brokers: "kafka:9092", input: "lines", output: "counts" },
    kafka: { bootstrapServers: "kafka:9092" },
  });
  // Its topics are those by whose lag it is scaled.
  expect(manifest.spec.topics).toEqual([manifest.spec.parameters?.["input"]]);
  await embedded(wordCount, config).close();
});

test("routes: the program of its name, with the manifest's trigger and executors", async () => {
  const { metadata, spec } = (await loadAnyManifest(`${root}docs/examples/kubernetes/routes.yaml`)) as MicroBatchJobManifest;
  expect([routes.name, spec.job.module]).toEqual([metadata.name, "routes.ts"]);
  const query = routes.build(spec.job.parameters ?? {});
  if (query.kind !== "stream") throw new Error("routes is no query of a stream");
  const config = batchConfig(spec);
  expect(withTrigger(query, config).trigger).toEqual({ kind: "processingTime", intervalMs: 30_000 });
  expect(config).toMatchObject({ executors: 4, input: { maxRecordsPerTrigger: 500_000 } });
});
