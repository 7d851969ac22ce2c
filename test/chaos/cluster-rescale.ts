// Another parallelism while the job runs, 1 -> 4 -> 3 -> 2, with timers, windows and sessions open: the output must be as without.
// `node test/chaos/cluster-rescale.ts`
import { parseArgs } from "node:util";
import { ClusterRun, pause, say } from "./cluster-run.ts";

const { values: given } = parseArgs({
  options: {
    rate: { type: "string", default: "3000" },
    keys: { type: "string", default: "200" },
    seconds: { type: "string", default: "6" },
    seed: { type: "string", default: "12" },
    steps: { type: "string", default: "4,3,2" },
  },
});
const [rate, keys, seconds, seed] = [given.rate, given.keys, given.seconds, given.seed].map(Number) as [number, number, number, number];

say(
  `cluster rescale: 1 -> ${given.steps.replaceAll(",", " -> ")} on 2 TaskManagers of 2 slots, ${rate} readings/s, a step every ${seconds} s`,
);
const run = await ClusterRun.start({
  rate,
  keys,
  seed,
  parallelism: 1,
  slots: 2,
  taskManagers: 2,
  jobManagers: 1,
  checkpointInterval: "500 ms",
});
let correct = false;
try {
  await pause(seconds * 1000);
  for (const parallelism of given.steps.split(",").map(Number)) {
    const fromMs = Date.now();
    const answer = (await run.cluster.askLeader("/v1/job", "PATCH", { parallelism }, 120_000)) as {
      gapMs: number;
      vertices: Record<string, number>;
    };
    await pause(seconds * 1000);
    say(
      `  parallelism ${parallelism}: gap ${Math.round(answer.gapMs)} ms as told, ${run.longestGap(fromMs, Date.now())} ms in committed output; ${JSON.stringify(answer.vertices)}`,
    );
  }
  const job = await run.until("the job to run", (view) => view.state === "running", 60_000);
  say(`${job.restarts} restarts, ${job.lastCheckpoint?.id ?? 0} checkpoints, ${run.sent.toLocaleString("en-US")} readings`);
  correct = (await run.finish()) && job.restarts === 0;
  say(correct ? "exact" : `NOT EXACT (seed ${seed})`);
} finally {
  await run.close(correct);
}
process.exitCode = correct ? 0 : 1;
