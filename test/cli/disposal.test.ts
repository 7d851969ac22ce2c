// What the operator's pod for a savepoint's disposal is told, told to the command: the files go.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { beforeAll, expect, test } from "vitest";
import { disposalPod } from "../../src/savepoint/disposal-pod.ts";
import { build, Command, jobs, workFolder } from "./command.ts";
import { readings, writeInput } from "./readings.ts";

const folder = workFolder();
const timeoutMs = 120_000;

beforeAll(build, timeoutMs);

test("the arguments of the disposal's pod delete a savepoint", { timeout: timeoutMs }, async () => {
  writeInput(join(folder, "input"), readings(500));
  mkdirSync(join(folder, "output"));
  const manifest = join(folder, "job.json");
  const parameters = { input: join(folder, "input"), output: join(folder, "output"), rate: "100000" };
  const storage = pathToFileURL(join(folder, "snapshots")).href;
  const spec = { job: { module: join(jobs, "counts.ts"), parameters }, checkpoints: { storage, interval: "200 ms" } };
  writeFileSync(manifest, JSON.stringify({ apiVersion: "millrace.dev/v1alpha1", kind: "StreamJob", metadata: { name: "counts" }, spec }));
  await new Command(["run", "-f", manifest, "--port", "0"]).endsWith(0);
  const pointer = JSON.parse(readFileSync(join(folder, "snapshots/counts/latest"), "utf8")) as {
    readonly checkpoints: readonly { readonly path: string }[];
  };
  const newest = (pointer.checkpoints[0]?.path ?? "").replace(/\/manifest\.json$/, "");
  // A copy that is no job's checkpoint.
  cpSync(join(folder, "snapshots"), join(folder, "copy"), { recursive: true });
  rmSync(join(folder, "copy/counts/latest"));
  const place = join(folder, "copy/counts", newest);
  expect(existsSync(join(place, "manifest.json"))).toBe(true);
  const { spec: pod } = disposalPod({
    apiVersion: "millrace.dev/v1alpha1",
    kind: "Savepoint",
    metadata: { name: "mine", namespace: "jobs", uid: "u" },
    spec: { job: "counts", disposal: "Delete" },
    status: {
      location: pathToFileURL(place).href,
      access: { image: "counts:1", s3: JSON.stringify({ endpoint: "http://127.0.0.1:1", region: "eu-1" }) },
    },
  });
  const { args } = (pod as { readonly containers: readonly { readonly args: readonly string[] }[] }).containers[0] ?? { args: [] };
  expect(args).toContain("--s3-region");
  await new Command([...args]).endsWith(0);
  expect(existsSync(join(place, "manifest.json"))).toBe(false);
});
