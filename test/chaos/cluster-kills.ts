// A random process of a job on several processes (TaskManager, leader, standby) is killed again and again, on a real Kafka and a real S3 server:
// the committed output must equal an independent computation. `node test/chaos/cluster-kills.ts --minutes 10 --every 5`
import { randomBytes } from "node:crypto";
import { parseArgs } from "node:util";
import { random } from "../bench/bids.ts";
import { ClusterRun, pause, say } from "./cluster-run.ts";

const { values: given } = parseArgs({
  options: {
    minutes: { type: "string", default: "10" },
    every: { type: "string", default: "5" },
    rate: { type: "string", default: "4000" },
    "task-managers": { type: "string", default: "2" },
    keys: { type: "string", default: "200" },
    seed: { type: "string", default: String(randomBytes(4).readUInt32LE()) },
  },
});
const [minutes, every, rate, keys, seed] = [given.minutes, given.every, given.rate, given.keys, given.seed].map(Number) as [
  number,
  number,
  number,
  number,
  number,
];

say(
  `cluster kills: parallelism 4 on ${given["task-managers"]} TaskManagers with 2 slots each, leader and standby, ${rate} readings/s, a kill every ${every} s for ${minutes} min, seed ${seed}`,
);
const run = await ClusterRun.start({
  rate,
  keys,
  seed,
  parallelism: 4,
  slots: 2,
  taskManagers: Number(given["task-managers"]),
  jobManagers: 2,
  checkpointInterval: "500 ms",
});
let correct = false;
try {
  const next = random(seed + 1);
  const longest = new Map<string, { kills: number; gapMs: number }>();
  const calm = Date.now();
  await pause(10_000);
  const calmGapMs = run.longestGap(calm, Date.now());
  const untilMs = Date.now() + minutes * 60_000;
  let kills = 0;
  while (Date.now() < untilMs) {
    const leader = await run.cluster.leader();
    const victim = run.cluster.members[Math.floor(next() * run.cluster.members.length)];
    if (victim === undefined) break;
    const kind = victim.role === "taskmanager" ? "TaskManager" : victim === leader ? "leader" : "standby";
    const killedMs = Date.now();
    victim.child.kill("SIGKILL");
    await victim.exited;
    kills++;
    await pause(200);
    run.cluster.restart(victim);
    // Two of three times everything has to be back before the next kill; else a slow machine would only ever start processes.
    if (next() < 2 / 3) await run.back(victim);
    await pause(Math.max(0, every * 1000 - (Date.now() - killedMs)));
    const gapMs = run.longestGap(killedMs, Date.now());
    const before = longest.get(kind) ?? { kills: 0, gapMs: 0 };
    longest.set(kind, { kills: before.kills + 1, gapMs: Math.max(before.gapMs, gapMs) });
    if (kills % 12 === 0) say(`${kills} kills, ${run.sent.toLocaleString("en-US")} readings sent`);
  }
  const job = await run.until("the job to run after the last kill", (view) => view.state === "running", 120_000);
  say(
    `${kills} kills, ${job.restarts} restarts of the region, ${job.lastCheckpoint?.id ?? 0} checkpoints, ${run.sent.toLocaleString("en-US")} readings`,
  );
  say(`longest gap in committed output: ${calmGapMs} ms without kills`);
  for (const [kind, { kills: times, gapMs }] of [...longest].sort()) say(`  ${kind}: ${times} kills, longest gap ${gapMs} ms`);
  correct = await run.finish();
  say(correct ? "exact" : `NOT EXACT (seed ${seed})`);
} finally {
  await run.close(correct);
}
process.exitCode = correct ? 0 : 1;
