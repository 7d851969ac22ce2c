// A vertex that takes 100 records/s behind a source that could give 100,000: memory must stay flat, checkpoints complete (unaligned), nothing
// be dropped. `node test/chaos/cluster-backpressure.ts --minutes 5`
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { ClusterProcesses } from "./cluster-processes.ts";

const { values: given } = parseArgs({
  options: {
    minutes: { type: "string", default: "5" },
    "source-rate": { type: "string", default: "100000" },
    "sink-rate": { type: "string", default: "100" },
    "look-seconds": { type: "string", default: "60" },
  },
});
const lookMs = Number(given["look-seconds"]) * 1000;
const say = (text: string): void => void process.stdout.write(`${text}\n`);
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

interface Checkpoint {
  readonly id: number;
  readonly phase: string;
  readonly durationMs?: number;
  readonly unaligned?: boolean;
  readonly inFlightBytes?: number;
}

const folder = mkdtempSync(join(tmpdir(), "millrace-backpressure-"));
const cluster = new ClusterProcesses({
  job: "test/chaos/slow-sink-job.ts",
  parameters: { sourceRate: given["source-rate"], sinkRate: given["sink-rate"] },
  storage: pathToFileURL(folder).href,
  s3: undefined,
  parallelism: 3,
  slots: 2,
  checkpointInterval: "2 s",
  taskManagerArgs: [],
});
say(`cluster backpressure: ${given["source-rate"]} events/s into ${given["sink-rate"]}/s for ${given.minutes} min`);
let good = false;
try {
  cluster.start("jobmanager");
  const managers = [cluster.start("taskmanager"), cluster.start("taskmanager")];
  const untilRunMs = Date.now() + 120_000;
  while ((await cluster.job())?.state !== "running") {
    if (Date.now() > untilRunMs) throw new Error(`the job does not run; see ${cluster.log}`);
    await pause(200);
  }
  await pause(10_000);
  const start = managers.map((member) => residentMb(member.child.pid));
  say(`  resident memory of the TaskManagers: ${start.join(" and ")} MB`);
  const startedMs = Date.now();
  let most = start;
  while (Date.now() - startedMs < Number(given.minutes) * 60_000) {
    await pause(Math.min(lookMs, Number(given.minutes) * 60_000 - (Date.now() - startedMs)));
    const now = managers.map((member) => residentMb(member.child.pid));
    most = most.map((before, at) => Math.max(before, now[at] ?? 0));
    const job = await cluster.job();
    const out = job?.processing?.operators.find((one) => one.uid === "slow")?.subtasks.reduce((sum, one) => sum + one.rowsIn, 0) ?? 0;
    const seconds = Math.round((Date.now() - startedMs) / 1000);
    say(`  ${seconds} s: ${now.join(" and ")} MB, ${out} rows taken, checkpoint ${job?.lastCheckpoint?.id ?? 0}`);
  }
  const { checkpoints } = (await cluster.askLeader("/v1/checkpoints", "GET", undefined, 30_000)) as { checkpoints: readonly Checkpoint[] };
  const complete = checkpoints.filter((one) => one.phase === "completed");
  const longestMs = Math.max(...complete.map((one) => one.durationMs ?? 0));
  say(
    `  of the last ${checkpoints.length} checkpoints ${complete.length} are complete, ${complete.filter((one) => one.unaligned === true).length} unaligned, the longest took ${Math.round(longestMs)} ms, up to ${Math.max(...complete.map((one) => one.inFlightBytes ?? 0))} bytes in flight`,
  );
  const job = await cluster.job();
  const grown = Math.max(...most.map((mb, at) => mb - (start[at] ?? 0)));
  good = complete.length > 0 && complete.length >= checkpoints.length - 1 && job?.restarts === 0 && grown < 200;
  say(good ? `flat: at most ${grown} MB more` : `NOT GOOD: ${grown} MB more, ${job?.restarts} restarts`);
} finally {
  await cluster.close(!good);
  rmSync(folder, { recursive: true, force: true });
}
process.exitCode = good ? 0 : 1;

function residentMb(pid: number | undefined): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024);
}
