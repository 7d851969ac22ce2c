// What touches the disk below a state store, and fails with the store's code and what to do about it.
import { MillraceError, messageOf } from "../../base/errors.ts";

export class StoreChecks {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /** Runs what has to be `verb`: written, read. */
  now<T>(verb: string, run: () => T): T {
    try {
      return run();
    } catch (error) {
      throw this.#failed(verb, error);
    }
  }

  async later<T>(verb: string, run: () => Promise<T>): Promise<T> {
    try {
      return await run();
    } catch (error) {
      throw this.#failed(verb, error);
    }
  }

  #failed(verb: string, error: unknown): MillraceError {
    return new MillraceError(
      "STATE_STORE_FAILED",
      `the state store in ${this.#directory}`,
      `it could not be ${verb}: ${messageOf(error)}`,
      "see that the disk has room and is writable; the job restarts from its last checkpoint",
      { cause: error },
    );
  }
}
