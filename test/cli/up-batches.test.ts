// `millrace up` with a MicroBatchJob: a driver runs, changes are brought out between two batches, a failing version is rolled back; the output is exact.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { build, Command, jobs, workFolder } from "./command.ts";
import { addInput, expectedCounts, readings, seenCounts, writeInput } from "./readings.ts";

const folder = workFolder();
const timeoutMs = 240_000;
const first = readings(8_000);
/** Goes on in time where the first ends: what is late would be dropped. */
const second = readings(8_000, 7).map((reading) => ({ ...reading, at: reading.at + 8_000 * 50 }));
/** Closes every window before it. */
const closing = { key: "end", value: 0, at: Date.UTC(2030, 0, 1) };
const manifest = join(folder, "job.yaml");

function write(spec: object, module = join(jobs, "batch-counts.ts")): void {
  const parameters = { input: join(folder, "input"), output: join(folder, "output") };
  const restart = { initialDelay: "200 ms" };
  writeFileSync(
    manifest,
    JSON.stringify({
      apiVersion: "millrace.dev/v1alpha1",
      kind: "MicroBatchJob",
      metadata: { name: "batch-counts" },
      spec: { job: { module, parameters }, restart, ...spec },
    }),
  );
}

beforeAll(() => {
  build();
  writeInput(join(folder, "input"), first);
}, timeoutMs);

test("each change of the manifest is brought out between two batches, and the output is exact", { timeout: timeoutMs }, async () => {
  write({ trigger: { interval: "200 ms" }, input: { maxRecordsPerBatch: 700 } });
  const command = new Command(["up", "-f", manifest, "--folder", join(folder, "up"), "--exit-at-end"]);
  await command.said(/RunStable: /);
  write({ trigger: { interval: "200 ms" }, input: { maxRecordsPerBatch: 300 } });
  await command.said(/Upgraded: .* from savepoint .*, nothing was processed for \d+ ms/);
  // A version that cannot be loaded is given up after three attempts.
  write({ trigger: { interval: "200 ms" } }, join(jobs, "no-job.ts"));
  await command.said(/! RollingBack: .*its default export is not a DataFrame program/);
  await command.said(/RolledBack: /);
  addInput(join(folder, "input"), 1, [...second, closing]);
  write({ trigger: { type: "available-now" }, input: { maxRecordsPerBatch: 300 } });
  await command.said(/RunSucceeded: /);
  await command.endsWith(0);
  expect(command.stdout).toMatch(/= Finished\n/);
  expect(seenCounts(join(folder, "output"))).toEqual(expectedCounts([...first, ...second]));
});
