// A process's part in savepoints of its application. The cut is found as Chandy and Lamport do it, on channels that the asking stops first.
//
// 1. The process that is asked writes a round into the control topic. Every process reads it.
// 2. A task stops reading its sources. One without repartition topics makes its cut at once: it commits, and in the same transaction writes
//    a marker into every partition that it sends to. Then it stands still.
// 3. A task behind repartition topics goes on with them until the markers of all upstream tasks have come. Nothing comes behind them,
//    since those tasks stand still, so nothing is in flight: it makes its cut in the same way. The dataflow has no cycle, so all get there.
// 4. Each task uploads its state and writes that into the control topic. The log of that topic decides: once it has the cuts of all tasks, the
//    savepoint is certain, and `keep` goes on; with an `aborted` before that the round is void for everybody, and goes on too.
// 5. One process puts the manifest in place, by a conditional write, and says so. With `stop` every process ends then, and none of the
//    application begins again without a savepoint: nothing is ever processed behind a cut that something else starts from.
//
// A task that moves or fails, and a round that takes too long, abort; nobody waits for a process that may be dead. A task that has processed
// something behind a marker before its own cut, because upstream went on, sees that by the markers and aborts as well.
import type { Clock } from "../../../base/clock.ts";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import { sleep } from "../../../connectors/kafka/client/retry.ts";
import { assembleSavepoint } from "../../../checkpoint/savepoint/savepoint-parts.ts";
import { type SavepointResult, savepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";
import type { ControlLog } from "../control/control-log.ts";
import { type AppSavepointMode, cutKey, nextCheckpointId, type Round, stoppedWith } from "../control/control-state.ts";
import { type TaskCut, uploadCut } from "./upload-cut.ts";

export interface CutTasks {
  joinCut(attempt: number): void;
  release(): void;
}

export interface KeeperParts {
  readonly control: ControlLog;
  readonly tasks: CutTasks;
  readonly processId: string;
  readonly jobName: string;
  readonly applicationId: string;
  readonly planFingerprint: string;
  readonly maxParallelism: number;
  readonly counts: readonly number[];
  readonly taskCount: number;
  /** Rejects with SAVEPOINT_NO_STORAGE. */
  readonly storage: () => Promise<SnapshotStorage>;
  /** How long one try may take. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
  /** All tasks of this process run. */
  readonly ready: () => boolean;
  /** The application was stopped with this savepoint. */
  readonly stopped: (id: string) => void;
}

const pauseMs = 200;
/** After this long somebody else publishes in place of the process that asked. */
const standInMs = 15_000;
const tries = 3;

export class SavepointKeeper {
  readonly #parts: KeeperParts;
  #seen = "";
  #abortedAttempt = 0;
  #closed = false;
  #cancel: (() => void) | undefined;

  constructor(parts: KeeperParts) {
    this.#parts = parts;
  }

  get #round(): Round | undefined {
    return this.#parts.control.state.round;
  }

  /** Tasks that are opened now must not process anything yet. */
  get holdsTasks(): boolean {
    return this.#round?.phase === "cutting" || stoppedWith(this.#parts.control.state) !== undefined;
  }

  /** Looks at where the round stands, and does what follows from it; called after each record of the control topic. */
  look(): void {
    const round = this.#round;
    if (round === undefined || this.#closed) return;
    const now = `${round.attempt} ${round.phase}`;
    if (now === this.#seen) return;
    this.#seen = now;
    this.#cancel?.();
    const { tasks, clock, timeoutMs, processId, stopped } = this.#parts;
    switch (round.phase) {
      case "cutting":
        this.#cancel = clock.after(timeoutMs, () => this.abort(`not all tasks made their cut within ${timeoutMs} ms`));
        if (this.#parts.ready()) tasks.joinCut(round.attempt);
        else this.abort("tasks were on their way from one process to another");
        return;
      case "aborted":
        return tasks.release();
      case "cut":
        if (round.mode === "keep") tasks.release();
        if (round.by === processId) void this.publish();
        else this.#cancel = clock.after(standInMs, () => void this.publish());
        return;
      case "published":
        if (round.mode === "stop") stopped(round.id);
    }
  }

  /** Makes the round under way void, if it is not certain yet: the log says which it is. */
  abort(reason: string): void {
    const round = this.#round;
    if (round?.phase !== "cutting" || this.#abortedAttempt === round.attempt || this.#closed) return;
    this.#abortedAttempt = round.attempt;
    this.#parts.log.info("a savepoint is tried again", { savepointId: round.id, attempt: round.attempt, reason });
    this.#append({ kind: "aborted", attempt: round.attempt, by: this.#parts.processId, reason });
  }

  #append(record: Parameters<ControlLog["append"]>[0]): void {
    this.#parts.control.append(record).catch((error: unknown) => {
      // The round ends by its timeout then.
      this.#parts.log.warn("the control topic was not written", { record: record.kind, reason: messageOf(error) });
    });
  }

  /** A task of this process has made its cut, and stands still. */
  cutMade(cut: TaskCut): void {
    const round = this.#round;
    if (round?.phase !== "cutting") return;
    this.#upload(round, cut).catch((error: unknown) =>
      this.abort(`the state of task ${cut.place.id} could not be written: ${messageOf(error)}`),
    );
  }

  async #upload({ id, attempt, checkpointId }: Round, cut: TaskCut): Promise<void> {
    const { control, maxParallelism, counts } = this.#parts;
    const storage = await this.#parts.storage();
    const ack = await uploadCut(cut, { storage, jobFolder: this.#folder, savepointId: id, checkpointId, maxParallelism, counts });
    await control.append({ kind: "cut", attempt, task: cut.place.id, ack });
  }

  get #folder(): string {
    return `${this.#parts.applicationId}/`;
  }

  /** Puts the manifest of a round whose cuts are all there in place; again and again until it is, whoever does it. */
  async publish(): Promise<void> {
    const { control, clock, log, jobName, applicationId, planFingerprint, maxParallelism } = this.#parts;
    while (!this.#closed) {
      const round = this.#round;
      if (round?.phase !== "cut") return;
      try {
        const head = {
          jobName,
          jobId: applicationId,
          checkpointId: round.checkpointId,
          savepointId: round.id,
          epoch: control.state.origin?.generation ?? 0,
          planFingerprint,
          createdMs: clock.now(),
          createdBy: "millrace embedded",
          maxParallelism,
        };
        const result = await assembleSavepoint(await this.#parts.storage(), this.#folder, head, [...round.cuts.values()]);
        await control.append({ kind: "published", attempt: round.attempt, result });
        await control.forget([...round.cuts.keys()].map((task) => cutKey(round.attempt, task)));
        await control.catchUp();
      } catch (error) {
        log.warn("a savepoint is complete but could not be published", { savepointId: round.id, reason: messageOf(error) });
        await sleep(clock, pauseMs * 10);
      }
    }
  }

  /**
   * Takes a savepoint, or tells what came of it when the id was used before. Rejects with SAVEPOINT_NO_STORAGE, SAVEPOINT_FAILED, or a storage
   * error.
   */
  async take(id: string, mode: AppSavepointMode): Promise<SavepointResult> {
    const { control, clock, timeoutMs } = this.#parts;
    const storage = await this.#parts.storage();
    const before = await savepointResult(storage, this.#folder, id);
    if (before !== undefined) return before;
    const deadlineMs = clock.now() + timeoutMs * tries;
    let reason = "the application did not run in whole";
    while (clock.now() < deadlineMs && !this.#closed) {
      const attempt = await this.#begin(id, mode, deadlineMs);
      const round = await control.until(Math.max(0, deadlineMs - clock.now()), ({ round: now }) =>
        now !== undefined && (now.attempt > attempt || now.phase === "aborted" || now.phase === "published") ? now : undefined,
      );
      if (round?.id === id && round.result !== undefined) return round.result;
      if (round?.reason !== undefined) reason = round.reason;
      await sleep(clock, pauseMs);
    }
    throw new MillraceError("SAVEPOINT_FAILED", `savepoint "${id}"`, reason, "ask again when all processes run; nothing was stopped");
  }

  // The attempt that takes this savepoint: one that is under way already, or a new one.
  async #begin(id: string, mode: AppSavepointMode, deadlineMs: number): Promise<number> {
    const { control, clock, processId, taskCount, ready } = this.#parts;
    for (;;) {
      await control.catchUp();
      const { state } = control;
      const round = state.round;
      if (round?.id === id && round.phase !== "aborted") return round.attempt;
      const attempt = (round?.attempt ?? 0) + 1;
      if (clock.now() >= deadlineMs || this.#closed || stoppedWith(state) !== undefined) return attempt;
      if (round?.phase !== "cutting" && ready())
        await control.append({ kind: "round", id, attempt, mode, by: processId, checkpointId: nextCheckpointId(state), taskCount });
      else await sleep(clock, pauseMs);
    }
  }

  close(): void {
    this.#closed = true;
    this.#cancel?.();
  }
}
