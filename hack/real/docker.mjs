// The few Docker calls that the real parts need.
import { Problem } from "./problem.mjs";
import { has, run } from "./tools.mjs";

/** True when a Docker engine answers; the client alone is not enough. MILLRACE_NO_DOCKER=1 says not to use it. */
export function hasDocker() {
  return process.env.MILLRACE_NO_DOCKER !== "1" && has("docker", ["info"]);
}

export const docker = (...args) => run("docker", args);

/** True while the container runs; false when it has ended or does not exist. */
export function containerRuns(container) {
  try {
    return docker("inspect", "-f", "{{.State.Running}}", container).trim() === "true";
  } catch (error) {
    if (error instanceof Problem) return false;
    throw error;
  }
}

/** Pulls the image unless it is here. */
export function pullImage(image, say) {
  try {
    docker("image", "inspect", image);
  } catch {
    say(`pulling ${image}`);
    run("docker", ["pull", image], { next: "check that Docker can reach Docker Hub, or set MILLRACE_NO_DOCKER=1 to go without Docker" });
  }
}
