// Savepoints that a running query was asked for: taken between two batches, each once per id.
import { MillraceError } from "../../base/errors.ts";
import type { SavepointResult } from "../../checkpoint/savepoint/savepoint-result.ts";

/** `keep`: the query goes on. `stop`: it ends there, with no output after the savepoint. */
export type QuerySavepointMode = "keep" | "stop";

export interface SavepointRequest {
  readonly id: string;
  readonly mode: QuerySavepointMode;
  readonly resolve: (result: SavepointResult) => void;
  readonly reject: (error: unknown) => void;
}

/** The most that may wait: whoever asks for more is refused. */
const maxWaiting = 100;

export class SavepointRequests {
  readonly #subject: string;
  readonly #waiting: SavepointRequest[] = [];
  #ended: MillraceError | undefined;

  /** `subject` is whom they are of, as errors call it. */
  constructor(subject: string) {
    this.#subject = subject;
  }

  get any(): boolean {
    return this.#waiting.length > 0;
  }

  ask(id: string, mode: QuerySavepointMode): Promise<SavepointResult> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended);
    if (this.#waiting.length >= maxWaiting) {
      return Promise.reject(
        new MillraceError("JOB_NOT_RUNNING", `savepoint "${id}"`, `${maxWaiting} others wait already`, "wait until they are done"),
      );
    }
    return new Promise((resolve, reject) => this.#waiting.push({ id, mode, resolve, reject }));
  }

  next(): SavepointRequest | undefined {
    return this.#waiting.shift();
  }

  /** Nothing is taken any more: whoever waits, and whoever asks from now on, hears why. */
  end(state: string): void {
    const ended = new MillraceError("JOB_NOT_RUNNING", this.#subject, `is ${state}`, "start it, and ask again");
    this.#ended = ended;
    for (const { reject } of this.#waiting.splice(0)) reject(ended);
  }
}
