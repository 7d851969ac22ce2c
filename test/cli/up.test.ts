// `millrace up` as a process: a manifest runs, a changed one is brought out with a savepoint, a bad one is refused and the job goes on; the output is exact.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { build, Command, jobs, workFolder } from "./command.ts";
import { expectedCounts, readings, seenCounts, writeInput } from "./readings.ts";

const folder = workFolder();
const timeoutMs = 240_000;
const lists = [readings(20_000), readings(20_000, 7)];
const manifest = join(folder, "job.yaml");

interface Choice {
  readonly rate: number;
  readonly parallelism: number;
  readonly checkpoints?: string;
}

const write = ({ rate, parallelism, checkpoints = "500 ms" }: Choice): void =>
  writeFileSync(
    manifest,
    JSON.stringify({
      apiVersion: "millrace.dev/v1alpha1",
      kind: "StreamJob",
      metadata: { name: "counts" },
      spec: {
        job: {
          module: join(jobs, "counts.ts"),
          parameters: { input: join(folder, "input"), output: join(folder, "output"), rate: String(rate) },
        },
        parallelism,
        checkpoints: { interval: checkpoints },
      },
    }),
  );

beforeAll(() => {
  build();
  writeInput(join(folder, "input"), ...lists);
}, timeoutMs);

test("each change of the manifest becomes an upgrade with a savepoint, and the output is exact", { timeout: timeoutMs }, async () => {
  write({ rate: 200, parallelism: 1 });
  const command = new Command(["up", "-f", manifest, "--folder", join(folder, "up"), "--exit-at-end"]);
  await command.said(/Deployed: /);
  write({ rate: 200, parallelism: 1, checkpoints: "soon" });
  await command.said(/^! .*interval.*; the last good manifest goes on$|SpecInvalid/m);
  write({ rate: 2_000_000, parallelism: 2 });
  await command.said(/Upgraded: .* from savepoint .*, nothing was processed for \d+ ms/);
  await command.endsWith(0);
  expect(command.stdout).toMatch(/= Finished\n/);
  expect(seenCounts(join(folder, "output"))).toEqual(expectedCounts(lists.flat()));
});
