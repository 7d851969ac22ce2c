// Whether pods have their tasks, whether these run, and how much waits for them.
import type { AppReport } from "../ports/app-client.ts";
import { answerOf } from "../resource/asked.ts";
import type { Problem } from "../resource/draft.ts";
import type { AppObserved, AppPodSeen } from "./observed.ts";
import { statusOf } from "./observed.ts";

export const reportOf = (seen: AppObserved, pod: AppPodSeen): AppReport | undefined => answerOf(seen.reports.get(pod.name));

/** It has its tasks, they run, and little waits for them. */
export function isCaughtUp(seen: AppObserved, pod: AppPodSeen, mostLag: number): boolean {
  const report = reportOf(seen, pod);
  return pod.ready && !pod.deleting && report?.ready === true && report.restoringTasks === 0 && (report.lag ?? 0) <= mostLag;
}

/** All that should be there are there and caught up, and nothing else is. */
export function allCaughtUp(seen: AppObserved, replicas: number, mostLag = Infinity): boolean {
  return seen.pods.length === replicas && seen.pods.every((pod) => isCaughtUp(seen, pod, mostLag));
}

export function tasksOf(seen: AppObserved): number | undefined {
  const told = [...seen.reports.values()].map((asked) => answerOf(asked)?.totalTasks).filter((tasks) => tasks !== undefined && tasks > 0);
  // Without a pod that knows: what the topics allow at least.
  return told[0] ?? statusOf(seen).tasks ?? answerOf(seen.topics)?.mostPartitions;
}

export function lagOf(seen: AppObserved): number | undefined {
  const topics = answerOf(seen.topics);
  if (topics !== undefined) return topics.lag;
  const lags = seen.pods.map((pod) => reportOf(seen, pod)?.lag);
  return lags.length === 0 || lags.includes(undefined) ? undefined : lags.reduce<number>((sum, lag) => sum + (lag ?? 0), 0);
}

const crashes = 3;
const hopeless = new Set([
  "ImagePullBackOff",
  "InvalidImageName",
  "ErrImageNeverPull",
  "CreateContainerConfigError",
  "CreateContainerError",
  "RunContainerError",
]);

/** A pod that is beyond hope, of those that `among` takes. */
export function brokenPod(seen: AppObserved, among: (pod: AppPodSeen) => boolean = () => true): Problem | undefined {
  for (const pod of seen.pods.filter((one) => !one.deleting && among(one))) {
    const because = pod.message === undefined ? "" : `: ${pod.message}`;
    if (pod.waiting !== undefined && hopeless.has(pod.waiting)) {
      const reason = pod.waiting.includes("Image") ? "ImagePullFailed" : "PodNotStarting";
      return { reason, message: `pod ${pod.name} does not start (${pod.waiting})${because}` };
    }
    if (pod.restarts >= crashes && !pod.ready)
      return { reason: "PodCrashLooping", message: `pod ${pod.name} crashed ${pod.restarts} times${because}` };
  }
  return undefined;
}
