// Pods that cannot run, and why.
import type { Problem } from "../resource/draft.ts";
import type { Observed } from "./observed.ts";

const crashes = 3;
const imageReasons = new Set(["ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"]);
const configReasons = new Set(["CreateContainerConfigError", "CreateContainerError", "RunContainerError"]);

/** Undefined when no pod of the run is beyond hope. */
export function brokenPods(seen: Observed, run: number | undefined): Problem | undefined {
  for (const pod of seen.pods.filter((one) => one.run === run && !one.deleting)) {
    const because = pod.message === undefined ? "" : `: ${pod.message}`;
    if (pod.waiting !== undefined && imageReasons.has(pod.waiting) && pod.waiting !== "ErrImagePull")
      return { reason: "ImagePullFailed", message: `pod ${pod.name} cannot get its image (${pod.waiting})${because}` };
    if (pod.waiting !== undefined && configReasons.has(pod.waiting))
      return { reason: "PodNotStarting", message: `pod ${pod.name} cannot be started (${pod.waiting})${because}` };
    if (pod.restarts >= crashes && !pod.ready) {
      const component = pod.component === "jobmanager" ? "JobManager" : "TaskManager";
      return { reason: `${component}CrashLooping`, message: `pod ${pod.name} crashed ${pod.restarts} times${because}` };
    }
  }
  return undefined;
}
