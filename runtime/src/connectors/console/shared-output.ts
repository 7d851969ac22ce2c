// A terminal or pipe that several writers share: its back pressure and its failure are theirs together.
import { MillraceError, messageOf } from "../../base/errors.ts";

/** Where text goes; `process.stdout` is one. */
export interface TextOutput {
  /** False asks to wait for `drain`. */
  write(text: string): boolean;
  once(event: "drain" | "error" | "close", listener: (error?: Error) => void): unknown;
  off(event: "drain" | "error" | "close", listener: (error?: Error) => void): unknown;
}

const settling = ["drain", "error", "close"] as const;
const shared = new WeakMap<TextOutput, SharedOutput>();

export class SharedOutput {
  /** Settles when there is room again, or never will be; undefined while there is room. */
  draining: Promise<void> | undefined;
  readonly #output: TextOutput;
  #writers = 0;
  #failure: Error | undefined;
  readonly #onError = (error?: Error): void => {
    this.#failure ??= error ?? new Error("it was closed");
  };

  private constructor(output: TextOutput) {
    this.#output = output;
  }

  /** The one of `output`: a process has one terminal, whatever the number of sinks. */
  static of(output: TextOutput): SharedOutput {
    const known = shared.get(output);
    if (known !== undefined) return known;
    const made = new SharedOutput(output);
    shared.set(output, made);
    return made;
  }

  open(): void {
    if (this.#writers++ === 0) this.#output.once("error", this.#onError);
  }

  close(): void {
    if (--this.#writers === 0) this.#output.off("error", this.#onError);
  }

  /** Throws CONSOLE_WRITE_FAILED once the output has failed. */
  check(uid: string): void {
    if (this.#failure === undefined) return;
    const problem = `the output cannot be written: ${messageOf(this.#failure)}`;
    throw new MillraceError("CONSOLE_WRITE_FAILED", uid, problem, "keep the reader of the output open", { cause: this.#failure });
  }

  write(text: string, uid: string): void {
    this.check(uid);
    if (!this.#output.write(text)) this.draining ??= this.#drain();
  }

  #drain(): Promise<void> {
    return new Promise((resolve) => {
      const settle = (): void => {
        for (const event of settling) this.#output.off(event, settle);
        this.draining = undefined;
        resolve();
      };
      for (const event of settling) this.#output.once(event, settle);
    });
  }
}
