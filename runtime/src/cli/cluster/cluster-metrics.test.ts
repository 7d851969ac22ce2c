// Metrics and their documentation are one list.
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { ClusterStatus } from "../../drivers/cluster/leader/cluster-status.ts";
import { openClusterMetrics } from "./cluster-metrics.ts";

const status: ClusterStatus = {
  epoch: 3,
  state: "running",
  waitingFor: null,
  parallelism: 1,
  restarts: 2,
  lastFailure: null,
  runningSinceMs: 1,
  slots: { present: 2, needed: 3, missing: 1 },
  taskManagers: [{ id: "a", connected: true, slots: 2 }],
  regions: [
    {
      id: "r",
      state: "running",
      attempt: 1,
      vertices: [],
      slices: [
        { slot: 0, taskManagerId: "a", state: "running", busy: 0.5, backpressured: 0.25, idle: 0.25, queuedBytesIn: 1, queuedBytesOut: 2 },
      ],
    },
  ],
  lastCheckpoint: null,
  processing: null,
};

test("every metric of a JobManager is documented, and every documented one is served", async () => {
  const render = await openClusterMetrics("clicks", { status: () => status, checkpoints: () => [] });
  const { text } = await render();
  const served = new Set([...text.matchAll(/^# TYPE (millrace_\w+) /gm)].map((match) => match[1]));
  const page = readFileSync(new URL("../../../../docs/reference/metrics.md", import.meta.url), "utf8");
  const documented = new Set([...page.matchAll(/^\| `(millrace_\w+)` \|/gm)].map((match) => match[1]));
  expect(served.size).toBeGreaterThan(20);
  for (const name of served) expect(documented, `${name} is documented`).toContain(name);
  for (const name of ["millrace_leader", "millrace_slots", "millrace_slot_time_share"]) expect(served).toContain(name);
  expect(text).toContain('millrace_slots{kind="missing",job_name="clicks"} 1');
  expect(text).toContain('millrace_slot_time_share{region="r",slot="0",activity="backpressured",job_name="clicks"} 0.25');
});

test("a standby says that it does not lead, and nothing else of the job", async () => {
  const render = await openClusterMetrics("clicks", { status: () => undefined, checkpoints: () => [] });
  const { text } = await render();
  expect(text).toContain('millrace_leader{job_name="clicks"} 0');
  expect(text).not.toContain("millrace_slot_time_share{");
});
