// Processes that stand still and networks that work one way: no record may be lost or repeated, and only one leader's checkpoints count.
// `node test/chaos/cluster-freeze.ts --seconds 60`
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { ClusterRun, pause, say } from "./cluster-run.ts";
import { type OneWayProxy, startOneWayProxy } from "./one-way-proxy.ts";

const { values: given } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    rate: { type: "string", default: "2000" },
    keys: { type: "string", default: "200" },
    seed: { type: "string", default: "13" },
  },
});
const [seconds, rate, keys, seed] = [given.seconds, given.rate, given.keys, given.seed].map(Number) as [number, number, number, number];

say(`cluster freeze: parallelism 4 on 3 TaskManagers of 2 slots, leader and standby, ${rate} readings/s; each freeze lasts ${seconds} s`);
// TaskManagers reach the leader through the proxy; it follows the lease to whoever leads.
const late: { run?: ClusterRun } = {};
const proxy: OneWayProxy = await startOneWayProxy(async () => late.run?.cluster.leaderRpc());
const run = await ClusterRun.start({
  rate,
  keys,
  seed,
  parallelism: 4,
  slots: 2,
  taskManagers: 3,
  jobManagers: 2,
  checkpointInterval: "500 ms",
  taskManagerArgs: ["--jobmanagers", `127.0.0.1:${proxy.port}`],
  prepare: (made) => {
    late.run = made;
  },
});
let correct = false;
try {
  await pause(5000);
  await scene("leader stopped", async () => {
    const leader = await run.cluster.leader();
    if (leader === undefined) throw new Error("nobody leads");
    leader.child.kill("SIGSTOP");
    await pause(seconds * 1000);
    leader.child.kill("SIGCONT");
    await pause(5000);
    // On a machine whose disk stalls a leader may lose its lease for a moment, and an answer may come too late.
    const untilMs = Date.now() + 60_000;
    let leads = await run.cluster.leaders();
    for (; leads.length === 0 && Date.now() < untilMs; leads = await run.cluster.leaders()) await pause(100);
    if (leads.length !== 1) throw new Error(`${leads.length} JobManagers say that they lead`);
    if (leads[0] === leader) throw new Error("the stopped leader leads again at once");
  });
  await scene("TaskManager stopped", async () => {
    const busy = await run.cluster.busyTaskManager();
    busy.child.kill("SIGSTOP");
    await pause(seconds * 1000);
    busy.child.kill("SIGCONT");
    await pause(5000);
  });
  for (const direction of ["up", "down"] as const) {
    await scene(`the network drops what ${direction === "up" ? "TaskManagers" : "the leader"} say`, async () => {
      proxy.drop = direction;
      await pause(Math.min(20, seconds) * 1000);
      proxy.drop = undefined;
      await pause(5000);
    });
  }
  correct = await run.finish();
  say(correct ? "exact" : `NOT EXACT (seed ${seed})`);
} finally {
  await run.close(correct);
  proxy.close();
}
process.exitCode = correct ? 0 : 1;

async function scene(what: string, act: () => Promise<void>): Promise<void> {
  const before = await run.until("the job to run", (job) => job.state === "running", 120_000);
  const fromMs = Date.now();
  await act();
  const after = await run.until("the job to run again", (job) => job.state === "running", 120_000);
  const epochs = new Set(
    readFileSync(join(run.cluster.log), "utf8")
      .split("\n")
      .filter((line) => line.includes('"message":"leading"'))
      .map((line) => /"epoch":(\d+)/.exec(line)?.[1]),
  );
  say(
    `  ${what}: longest gap ${run.longestGap(fromMs, Date.now())} ms, ${after.restarts - before.restarts} restarts, ${(after.lastCheckpoint?.id ?? 0) - (before.lastCheckpoint?.id ?? 0)} checkpoints; leaders so far: ${epochs.size}`,
  );
}
