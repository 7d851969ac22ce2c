// A driver's pod that cannot run, and why.
import type { Problem } from "../resource/draft.ts";
import type { BatchPodSeen } from "./observed.ts";

const imageReasons = new Set(["ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull"]);
const configReasons = new Set(["CreateContainerConfigError", "CreateContainerError", "RunContainerError"]);

/** Undefined when there is hope. */
export function brokenDriver(pod: BatchPodSeen | undefined): Problem | undefined {
  if (pod?.waiting === undefined || pod.deleting) return undefined;
  const because = pod.message === undefined ? "" : `: ${pod.message}`;
  if (imageReasons.has(pod.waiting))
    return { reason: "ImagePullFailed", message: `pod ${pod.name} cannot get its image (${pod.waiting})${because}` };
  if (configReasons.has(pod.waiting))
    return { reason: "PodNotStarting", message: `pod ${pod.name} cannot be started (${pod.waiting})${because}` };
  return undefined;
}
