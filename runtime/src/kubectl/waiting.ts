// Waits until a resource is as wanted, and says what it is waiting for.
import { MillraceError } from "../base/errors.ts";
import type { StreamJobObject } from "./objects.ts";

export interface WaitClock {
  nowMs(): number;
  sleep(ms: number): Promise<void>;
}

export const machineClock: WaitClock = {
  nowMs: () => Date.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
};

const PERIOD_MS = 1000;

/** What to wait for, what it looks like now (for the error), and whether it can still come. */
export interface Judgement {
  readonly done: boolean;
  readonly now: string;
  readonly hopeless?: boolean;
}

export async function waitFor(
  subject: string,
  wanted: string,
  look: () => Promise<Judgement>,
  timeoutMs: number,
  clock: WaitClock = machineClock,
): Promise<void> {
  const until = clock.nowMs() + timeoutMs;
  for (;;) {
    const { done, now, hopeless } = await look();
    if (done) return;
    if (hopeless === true)
      throw new MillraceError("WAIT_FAILED", subject, `it will not be ${wanted}: ${now}`, "see kubectl millrace status");
    if (clock.nowMs() >= until) {
      throw new MillraceError(
        "WAIT_FAILED",
        subject,
        `it is not ${wanted} yet: ${now}`,
        "wait longer with --timeout, or see kubectl millrace status",
      );
    }
    await clock.sleep(PERIOD_MS);
  }
}

export type Goal = "ready" | "stable" | "suspended" | "finished";
export const goals: readonly Goal[] = ["ready", "stable", "suspended", "finished"];

/** How far a job is from a goal. Only what the operator said about the newest change of the manifest counts. */
export function judge({ metadata, status }: StreamJobObject, goal: Goal): Judgement {
  const ready = status?.conditions?.find((one) => one.type === "Ready");
  const now =
    status === undefined
      ? "no operator has seen it"
      : `${status.state ?? "-"}${ready === undefined ? "" : `, ${ready.reason}: ${ready.message}`}`;
  if (status === undefined || (status.observedGeneration ?? 0) < (metadata.generation ?? 0)) {
    return { done: false, now: "the operator has not seen the last change yet" };
  }
  const isSettled = status.upgrade === undefined && status.rescale === undefined;
  switch (goal) {
    case "ready":
      return { done: isSettled && ready?.status === "True", now, hopeless: status.state === "Failed" };
    case "stable":
      return {
        done:
          isSettled &&
          status.currentRevision !== undefined &&
          status.currentRevision === status.stableRevision &&
          status.pinned === undefined,
        now:
          status.pinned === undefined
            ? now
            : `${status.pinned.revision} runs instead of ${status.pinned.insteadOf}: ${status.pinned.message}`,
        hopeless: status.state === "Failed" || (isSettled && status.pinned !== undefined),
      };
    case "suspended":
      return { done: status.state === "Suspended", now, hopeless: status.state === "Failed" || status.state === "Finished" };
    case "finished":
      return { done: status.state === "Finished", now, hopeless: status.state === "Failed" };
  }
}
