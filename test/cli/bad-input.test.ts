// What a user can get wrong: each ends with exit code 1 and one error that names what is wrong.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { build, jobs, refused, run, workFolder } from "./command.ts";
import { expectedCounts, outputLines, readings, seenCounts, writeInput } from "./readings.ts";

const folder = workFolder();
// A process takes seconds to start on a busy machine.
const timeoutMs = 240_000;
const good = readings(40);
let input: string;

beforeAll(() => {
  build();
  input = writeInput(join(folder, "input"), good);
}, timeoutMs);

/** A manifest of the job `counts`, changed by the test. */
function manifest(name: string, job: Readonly<Record<string, unknown>>, spec: Readonly<Record<string, unknown>> = {}): string {
  const path = join(folder, `${name}.yaml`);
  const parameters = { input, output: join(folder, `${name}-output`) };
  // JSON is YAML.
  const text = JSON.stringify({
    apiVersion: "millrace.dev/v1alpha1",
    kind: "StreamJob",
    metadata: { name: "counts" },
    spec: { job: { module: join(jobs, "counts.ts"), parameters, ...job }, ...spec },
  });
  writeFileSync(path, text);
  return path;
}

describe.concurrent("refused before anything runs", { timeout: timeoutMs }, () => {
  const output = join(folder, "never");

  test("an unknown field and a wrong type in a manifest", async () => {
    const path = manifest("fields", {}, { paralelism: 2, maxParallelism: "many" });
    const text = await refused(run(["-f", path]), "MANIFEST_INVALID");
    expect(text).toContain(path);
    expect(text).toContain('spec: unknown field "paralelism"');
    expect(text).toContain("spec.maxParallelism must be integer");
  });

  test("a module that is not there, and one without a job", async () => {
    const missing = await refused(run(["-f", manifest("missing", { module: "nowhere.ts" })]), "JOB_MODULE_MISSING");
    expect(missing).toContain(join(folder, "nowhere.ts"));
    expect(await refused(run([join(jobs, "no-job.ts")]), "JOB_EXPORT_MISSING")).toContain("no-job.ts");
  });

  test("an option that the connector does not know", async () => {
    const text = await refused(run([join(jobs, "unknown-option.ts")], { input, output }), "OPTION_UNKNOWN");
    expect(text).toContain('"recordsPerSecnd"');
    expect(text).toContain("recordsPerSecond");
  });

  test("a parallelism above maxParallelism", async () => {
    const text = await refused(run(["-f", manifest("wide", {}, { parallelism: 9, maxParallelism: 8 })]), "OPTION_INVALID");
    expect(text).toContain("parallelism: 9 is above maxParallelism 8");
  });

  test("a savepoint that is not there", async () => {
    const from = join(folder, "no-savepoint");
    const text = await refused(run([join(jobs, "counts.ts"), "--from-savepoint", from], { input, output }), "SNAPSHOT_MISSING");
    expect(text).toContain(from);
  });
});

describe.concurrent("records that do not parse", { timeout: timeoutMs }, () => {
  const [before, unparsable, misfit] = [`${JSON.stringify(good[0])}\n`, "not json é", '{"key":"k1","value":"x","at":1704067200000}'];
  const rest = good.slice(1);
  let bad: string;

  beforeAll(() => {
    bad = writeInput(join(folder, "bad"), []);
    writeFileSync(join(bad, "part-0.ndjson"), `${before}${unparsable}\n${misfit}\n${rest.map((row) => JSON.stringify(row)).join("\n")}\n`);
  });

  test("go to files, with their place, the reason and their bytes; the others are processed", async () => {
    const [output, dead] = [join(folder, "lenient"), join(folder, "dead")];
    const path = manifest("lenient", { parameters: { input: bad, output } }, { badRecords: { deadLetters: { files: { path: dead } } } });
    await run(["-f", path]).endsWith(0);
    expect(seenCounts(output)).toEqual(expectedCounts(good));
    const letters = outputLines(dead).map((line) => JSON.parse(line) as Record<string, unknown>);
    const split = join(bad, "part-0.ndjson");
    const second = before.length + Buffer.byteLength(`${unparsable}\n`);
    expect(letters).toMatchObject([
      { uid: "readings", code: "RECORD_UNPARSABLE", split, position: before.length, value: Buffer.from(unparsable).toString("base64") },
      { uid: "readings", code: "RECORD_MISFIT", split, position: second, value: Buffer.from(misfit).toString("base64") },
    ]);
    expect(letters[0]?.["reason"]).toContain("not JSON");
    expect(letters[1]?.["reason"]).toContain('"value"');
  });

  test("end the job when there are more than maxPerMinute", async () => {
    const path = manifest("limited", { parameters: { input: bad, output: join(folder, "limited") } }, { badRecords: { maxPerMinute: 1 } });
    const text = await refused(run(["-f", path]), "BAD_RECORDS_LIMIT");
    expect(text).toContain("readings");
    expect(text).toContain("badRecords.maxPerMinute");
  });
});
