// Manifests that must be refused by the API server, each with the field and the mend in the message.
//
// A file of invalid/ says on its first line what the API server's message must hold; `…` stands for anything. Documents before the last
// one are applied, so that the last one is a change.
import { globSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectl, tryKubectl } from "../support/cluster.ts";

const folder = fileURLToPath(new URL("invalid/", import.meta.url));
const examples = fileURLToPath(new URL("../../docs/examples/", import.meta.url));
const definitions = fileURLToPath(new URL("../../crds/", import.meta.url));
const cases = readdirSync(folder).map((file) => {
  const text = readFileSync(`${folder}${file}`, "utf8");
  const expected = [...text.matchAll(/^# refused: (.*)$/gm)].flatMap((match) => (match[1] ?? "").split("…").map((part) => part.trim()));
  return { file, expected, documents: text.replaceAll(/^#.*\n/gm, "").split("---\n") };
});
const namespaceOf = (file: string): string => `invalid-${process.pid}-${file.replace(".yaml", "")}`.slice(0, 63);

beforeAll(async () => {
  await kubectl(["apply", "--server-side", "--force-conflicts", "-f", definitions]);
  await kubectl(["wait", "--for=condition=Established", "--timeout=60s", "-f", definitions]);
});

afterAll(async () => {
  const changed = cases.filter(({ documents }) => documents.length > 1).map(({ file }) => namespaceOf(file));
  await kubectl(["delete", "namespace", "--ignore-not-found", "--wait=false", ...changed]);
});

test("there are at least sixty", () => expect(cases.length).toBeGreaterThanOrEqual(60));

test.each(cases)("$file is refused, with the field and the mend", async ({ file, expected, documents }) => {
  expect(expected.join("").length).toBeGreaterThan(10);
  const before = documents.slice(0, -1);
  const namespace = before.length === 0 ? "default" : namespaceOf(file);
  if (before.length > 0) {
    await kubectl(["create", "namespace", namespace]);
    for (const document of before) await kubectl(["apply", "-n", namespace, "-f", "-"], document);
  }
  const answer = await tryKubectl(["apply", "-n", namespace, "--dry-run=server", "-f", "-"], documents.at(-1));
  expect(answer.code, answer.stdout).not.toBe(0);
  let at = 0;
  for (const part of expected) {
    const found = answer.stderr.indexOf(part, at);
    expect(found, `${JSON.stringify(part)} in: ${answer.stderr}`).toBeGreaterThanOrEqual(at);
    at = found + part.length;
  }
  // One mistake, one field: nothing that is right is complained about. (`<nil>` says that rules were left out because of the mistake.)
  const named = [...answer.stderr.matchAll(/([\w.[\]<>]+): (Invalid value|Required value|Unsupported value|Too many)/g)].map(
    (match) => match[1],
  );
  expect(new Set(named.filter((field) => field !== "<nil>")).size, answer.stderr).toBeLessThanOrEqual(1);
});

test.each([
  ["StreamJob", "job: { module: clicks.ts }, checkpoints: { storage: 's3://snapshots/clicks', interval: 500, minPause: '1 s' }"],
  [
    "StreamJob",
    "job: { module: canary.mjs, configMap: canary }, checkpoints: { storage: 'file:///canary' }, taskManager: { replicas: 2, slots: 2 }",
  ],
  ["EmbeddedStreamApp", "applicationId: a, image: b, kafka: { brokers: ['kafka:9092'] }, topics: [clicks], scaling: { maxReplicas: 3 }"],
  [
    "MicroBatchJob",
    "job: { module: a.ts }, checkpoints: { storage: 'file:///c' }, trigger: { type: once }, schedule: { cron: '30 2 * * 1-5' }",
  ],
  ["Savepoint", "job: clicks"],
])("a %s without mistakes is taken: %s", async (kind, spec) => {
  const manifest = `apiVersion: millrace.dev/v1alpha1\nkind: ${kind}\nmetadata: { name: good }\nspec: { ${spec} }\n`;
  expect(await kubectl(["apply", "--dry-run=server", "-f", "-"], manifest)).toContain("created (server dry run)");
});

test.each(globSync("**/*.yaml", { cwd: examples }))("the manifest docs/examples/%s is taken", async (name) => {
  const answer = await kubectl(["apply", "--dry-run=server", "-f", `${examples}${name}`]);
  expect(answer).toMatch(/ created \(server dry run\)$/m);
});

test("kubectl explain describes every field of a StreamJob's spec", async () => {
  const text = await kubectl(["explain", "streamjob.spec", "--recursive"]);
  for (const field of ["checkpoints", "storage", "warmStandby", "stableTimeout", "maxParallelism", "deadLetters", "revisionHistoryLimit"])
    expect(text).toContain(field);
  expect(await kubectl(["explain", "streamjob.spec.upgrade.mode"])).toContain("last-state");
});
