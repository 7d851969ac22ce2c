// What a death costs under load: the longest gap in committed output without a kill, with the leader killed, and with a TaskManager killed whose
// slots hold much state (a spare one takes over). `node test/chaos/cluster-failover.ts --keys 400000`
import { parseArgs } from "node:util";
import { ClusterRun, pause, say } from "./cluster-run.ts";

const { values: given } = parseArgs({
  options: {
    rate: { type: "string", default: "4000" },
    keys: { type: "string", default: "200" },
    rounds: { type: "string", default: "3" },
    seed: { type: "string", default: "11" },
    "state-mb": { type: "string", default: "100" },
    /** Of event time that a window has, ms: how often there is output at the most. */
    "window-ms": { type: "string", default: "1000" },
    victims: { type: "string", default: "leader,taskmanager" },
  },
});
const [rate, keys, rounds, seed, stateMb] = [given.rate, given.keys, given.rounds, given.seed, given["state-mb"]].map(Number) as [
  number,
  number,
  number,
  number,
  number,
];
const victims = given.victims.split(",");
/** Of each kind as long, and beside each other in time: the machine's load is the same for all. */
const watchMs = 8000;

say(`cluster failover: parallelism 4 on 3 TaskManagers of 2 slots, ${rate} readings/s, ${stateMb} MB of state, ${rounds} rounds`);
const run = await ClusterRun.start({
  rate,
  keys,
  seed,
  parallelism: 4,
  slots: 2,
  taskManagers: 3,
  jobManagers: 2,
  checkpointInterval: "500 ms",
  windowMs: Number(given["window-ms"]),
  parameters: { ballastBytes: String(stateMb * 1024 * 1024) },
});
let correct = false;
try {
  const stored = await run.until(
    "the state to be in a checkpoint",
    (job) => (job.processing?.state.memoryBytes ?? 0) >= stateMb * 1024 * 1024 * 0.9,
    180_000,
  );
  say(`state: ${Math.round((stored.processing?.state.memoryBytes ?? 0) / 1024 / 1024)} MB`);
  const gaps = { none: [] as number[], leader: [] as number[], taskManager: [] as number[] };
  let restarts = stored.restarts;
  for (let round = 0; round < rounds; round++) {
    if (victims.includes("leader")) {
      gaps.none.push(await gapOver(async () => {}));
      const leader = await run.cluster.leader();
      if (leader === undefined) throw new Error("nobody leads");
      const killedMs = Date.now();
      gaps.leader.push(await gapOver(async () => void leader.child.kill("SIGKILL")));
      const after = await run.until("a leader", (job) => job.state === "running", 60_000);
      if (after.restarts !== restarts) say(`  the region was restarted: ${after.restarts - restarts} times by a leader's death`);
      say(`  takeover: ${await run.takeover(killedMs)}; gap ${gaps.leader.at(-1)} ms, without ${gaps.none.at(-1)} ms`);
      run.cluster.restart(leader);
      await run.back(leader);
      await pause(3000);
    }
    if (victims.includes("taskmanager")) {
      // One that runs slices: the spare one takes over.
      const busy = await run.cluster.busyTaskManager();
      const gapMs = await gapOver(async () => void busy.child.kill("SIGKILL"));
      gaps.taskManager.push(gapMs);
      restarts = (await run.until("the region to run again", (job) => job.state === "running", 60_000)).restarts;
      say(`  restart: ${await run.lastRecovery()}; gap ${gapMs} ms`);
      run.cluster.restart(busy);
      if (round < rounds - 1) await run.until("the spare TaskManager", (job) => job.slots.present === 6, 300_000);
    }
  }
  say("longest gap in committed output, ms, greatest / median of the rounds (each round):");
  for (const [kind, seen] of Object.entries(gaps)) {
    const sorted = seen.toSorted((a, b) => a - b);
    if (seen.length > 0) say(`  ${kind.padEnd(12)} ${sorted.at(-1)} / ${sorted[Math.floor(seen.length / 2)]} (${seen.join(", ")})`);
  }
  correct = await run.finish();
  say(correct ? "exact" : "NOT EXACT");
} finally {
  await run.close(correct);
}
process.exitCode = correct ? 0 : 1;

async function gapOver(act: () => Promise<void>): Promise<number> {
  const fromMs = Date.now();
  await act();
  await pause(watchMs);
  return run.longestGap(fromMs, Date.now());
}
