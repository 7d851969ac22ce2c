// `kubectl millrace status`, `graph` and `logs`: what is.
import { MillraceError } from "../../base/errors.ts";
import { graphMermaid, graphOf, graphText } from "../graph.ts";
import { jobAnswer } from "../job-rest.ts";
import type { Kubectl } from "../kubectl.ts";
import { revisionsOf, savepointsOf, streamJob } from "../objects.ts";
import { statusScreen } from "../status-screen.ts";

export async function showStatus(kubectl: Kubectl, name: string, nowMs: number): Promise<string> {
  const job = await streamJob(kubectl, name);
  const [revisions, savepoints, live, checkpoints] = await Promise.all([
    revisionsOf(kubectl, name),
    savepointsOf(kubectl, name),
    jobAnswer(kubectl, job, "/v1/job"),
    jobAnswer(kubectl, job, "/v1/checkpoints"),
  ]);
  return statusScreen({ job, revisions, savepoints, live, checkpoints, nowMs });
}

export async function showGraph(kubectl: Kubectl, name: string, options: { readonly mermaid?: boolean }): Promise<string> {
  const job = await streamJob(kubectl, name);
  const nodes = graphOf(await jobAnswer(kubectl, job, "/v1/job"));
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
