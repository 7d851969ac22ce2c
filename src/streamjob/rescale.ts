// A change of parallelism while the job runs: room first, then the job moves its key groups, then what is not needed goes.
import type { StreamJobStatus } from "millrace/api";
import { begin } from "./begin.ts";
import { act, type Draft, pause, record, reportOf, sinceMs, statusOf, time } from "./draft.ts";
import { normal } from "../resource/draft.ts";
import type { Observed } from "./observed.ts";
import type { Settings } from "./settings.ts";

const pollMs = 500;
const timeoutMs = 10 * 60_000;

export function decideRescale(seen: Observed, rescale: StreamJobStatus["rescale"], settings: Settings): Draft {
  const status = statusOf(seen);
  const { active } = status;
  if (active === undefined) return pause(seen);
  if (rescale === undefined) {
    const to = settings.parallelism;
    const id = `${active.run}-${to}`;
    return record({ ...status, rescale: { id, from: active.parallelism, to, startedAt: time(seen.nowMs) } }, [
      normal("Rescaling", `parallelism ${active.parallelism} becomes ${to}`),
    ]);
  }
  const { rescale: _rescale, ...rest } = status;
  // Another number is wanted now.
  if (settings.parallelism !== rescale.to) return record(rest);
  const report = reportOf(seen, active.run);
  if (report?.parallelism === rescale.to && report.state === "running") {
    return record({ ...rest, active: { ...active, parallelism: rescale.to } }, [
      normal("Rescaled", `parallelism ${rescale.from} became ${rescale.to}`),
    ]);
  }
  const workers = seen.workloads.find(({ run, component }) => run === active.run && component === "taskmanager");
  if (seen.refused?.step === "rescale") return byUpgrade(seen, rest, rescale.to, seen.refused.reason);
  if (sinceMs(seen, rescale.startedAt) > timeoutMs) return byUpgrade(seen, rest, rescale.to, "it took too long");
  const needed = Math.ceil(rescale.to / (seen.revisions.find(({ name }) => name === active.revision)?.spec.taskManager?.slots ?? 1));
  const room = workers !== undefined && workers.readyReplicas >= needed;
  if (!room || report?.state !== "running") return pause(seen, pollMs);
  return act(seen, { kind: "rescale", run: active.run, parallelism: rescale.to });
}

// The job cannot do it in place: a new run with the same revision.
function byUpgrade(seen: Observed, status: StreamJobStatus, parallelism: number, reason: string): Draft {
  const revision = seen.revisions.find(({ name }) => name === status.active?.revision);
  if (revision === undefined) return pause(seen);
  const without = { ...seen, job: { ...seen.job, status } };
  return begin(without, {
    kind: "rescale",
    revision,
    parallelism,
    mode: "savepoint",
    message: `parallelism becomes ${parallelism} with a savepoint, because the job does not do it in place: ${reason}`,
  });
}
