// `kubectl millrace status`, `graph` and `logs`: what is.
import { MillraceError } from "../../base/errors.ts";
import { appScreen } from "../app-screen.ts";
import { batchScreen } from "../batch-screen.ts";
import { graphMermaid, graphOf, graphText, type Sample } from "../graph.ts";
import { withLeader } from "../job-rest.ts";
import type { Kubectl } from "../kubectl.ts";
import { embeddedStreamApp, microBatchJob, revisionsOf, savepointsOf, type StreamJobObject, streamJob } from "../objects.ts";
import { type JobView, statusScreen } from "../status-screen.ts";
import type { WaitClock } from "../waiting.ts";

/** Long enough for slots to have reported again. */
const SAMPLE_MS = 2000;

async function liveView(kubectl: Kubectl, job: StreamJobObject, clock: WaitClock): Promise<Pick<JobView, "graph" | "checkpoints">> {
  const view = await withLeader(kubectl, job, async (ask) => {
    const sample = async (): Promise<Sample> => ({ job: await ask("/v1/job"), atMs: clock.nowMs() });
    const [before, checkpoints] = [await sample(), await ask("/v1/checkpoints")];
    await clock.sleep(SAMPLE_MS);
    return { graph: graphOf(await sample(), before), checkpoints };
  });
  return view ?? { graph: [], checkpoints: undefined };
}

/** `JOB`, or `mbj/JOB` for a MicroBatchJob, `esa/APP` for an EmbeddedStreamApp. */
export async function showStatus(kubectl: Kubectl, subject: string, clock: WaitClock): Promise<string> {
  const [kind, name = ""] = subject.includes("/") ? subject.split("/") : ["streamjob", subject];
  if (/^(mbj|microbatchjobs?)$/i.test(kind ?? "")) {
    const job = await microBatchJob(kubectl, name);
    const revisions = await revisionsOf(kubectl, name, `millrace.dev/microbatchjob=${name}`);
    return batchScreen({ job, revisions, nowMs: clock.nowMs() });
  }
  if (/^(esa|embeddedstreamapps?)$/i.test(kind ?? "")) {
    const app = await embeddedStreamApp(kubectl, name);
    const revisions = await revisionsOf(kubectl, name, `millrace.dev/embeddedstreamapp=${name}`);
    return appScreen({ app, revisions, nowMs: clock.nowMs() });
  }
  const job = await streamJob(kubectl, name);
  const [revisions, savepoints, live] = await Promise.all([
    revisionsOf(kubectl, name),
    savepointsOf(kubectl, name),
    liveView(kubectl, job, clock),
  ]);
  return statusScreen({ job, revisions, savepoints, ...live, nowMs: clock.nowMs() });
}

export async function showGraph(kubectl: Kubectl, name: string, options: { readonly mermaid?: boolean }): Promise<string> {
  const job = await streamJob(kubectl, name);
  const nodes = (await withLeader(kubectl, job, async (ask) => graphOf({ job: await ask("/v1/job"), atMs: 0 }))) ?? [];
  if (nodes.length === 0) {
    throw new MillraceError(
      "JOB_SILENT",
      name,
      `the job does not answer; its state is ${job.status?.state ?? "unknown"}`,
      `wait for it with kubectl millrace wait ${name}, or read kubectl millrace logs ${name}`,
    );
  }
  return options.mermaid === true ? graphMermaid(nodes) : graphText(nodes);
}

export interface LogOptions {
  readonly component?: string;
  readonly follow?: boolean;
  readonly previous?: boolean;
  readonly tail?: string;
}

/** The logs of the pods of a job, each line with its pod. */
export async function showLogs(kubectl: Kubectl, name: string, { component, follow, previous, tail }: LogOptions): Promise<void> {
  // An unknown job has no pods; the error should say which of the two it is.
  await streamJob(kubectl, name);
  const labels = [`millrace.dev/job=${name}`, ...(component === undefined ? [] : [`app.kubernetes.io/component=${component}`])];
  const flags = [
    ...["--prefix", "--ignore-errors", "--max-log-requests", "50", "--tail", tail ?? "50"],
    ...(follow === true ? ["--follow"] : []),
    ...(previous === true ? ["--previous"] : []),
  ];
  await kubectl.run(["logs", "--selector", labels.join(","), ...flags], { show: true });
}
