// The one error type that reaches a person: a stable code, the subject, and the next step.

/**
 * An operating error: something outside the program is not as it must be. `code` is stable and documented in
 * docs/reference/errors.md; the message names the subject and says what to do next.
 */
export class MillraceError extends Error {
  readonly code: string;
  /** What the error is about: a uid, a topic, a path, a field. */
  readonly subject: string;
  /** What the reader can do about it. */
  readonly next: string;

  constructor(code: string, subject: string, problem: string, next: string, options?: { readonly cause?: unknown }) {
    super(`${subject}: ${problem}; ${next}`, options);
    this.name = "MillraceError";
    this.code = code;
    this.subject = subject;
    this.next = next;
  }
}

/** True for an operating error, optionally of one code. */
export function isMillraceError(error: unknown, code?: string): error is MillraceError {
  return error instanceof MillraceError && (code === undefined || error.code === code);
}

/** The message of anything thrown, for a log field or a wrapped error. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Stops at a programmer's error: a state that the code itself rules out. */
export function assert(condition: unknown, claim: string): asserts condition {
  if (!condition) throw new Error(`assertion failed: ${claim}`);
}
