// Bases of a slice's state that the leader asked for: read in the background, one instance at a time.
import type { Log } from "../../../base/log.ts";
import type { Uploader } from "../../../checkpoint/upload/uploader.ts";
import type { StoredTableSpec } from "../../../core/ports/state-backend.ts";
import { BaseScanner } from "../../continuous/base-scanner.ts";
import type { TaskCapture } from "../../task/captures.ts";
import type { Task } from "../../task/task.ts";

export class SliceBases {
  readonly #task: Task;
  readonly #scanner: BaseScanner;
  readonly #wanted = new Set<string>();

  constructor(task: Task, uploader: Uploader, log: Log) {
    this.#task = task;
    this.#scanner = new BaseScanner(
      {
        due: (uid, keyGroups) => {
          const slot = task.operators.find(({ instance, keyGroups: own }) => instance.uid === uid && own.from === keyGroups.from);
          return slot !== undefined && this.#wanted.delete(nameOf(uid, slot.instance.subtask));
        },
        start: (about) => uploader.startBase(about),
      },
      log,
    );
  }

  /** The leader wants a base. */
  request(uid: string, subtask: number): void {
    this.#wanted.add(nameOf(uid, subtask));
    this.#scanner.lookAgain();
  }

  /** A checkpoint has captured the task: a base relates to it. */
  captured(checkpointId: number, capture: TaskCapture): void {
    const tables = new Map<string, readonly StoredTableSpec[]>();
    for (const { uid, subtask, keyed } of capture.operators) if (keyed !== undefined) tables.set(nameOf(uid, subtask), keyed.tables);
    this.#scanner.captured(checkpointId, this.#task, (uid, subtask) => tables.get(nameOf(uid, subtask)));
  }

  /** Does a bit of the work; called between batches. */
  step(): void {
    this.#scanner.step(this.#task);
  }

  close(): Promise<void> {
    return this.#scanner.close();
  }
}

function nameOf(uid: string, subtask: number): string {
  return `${subtask} ${uid}`;
}
