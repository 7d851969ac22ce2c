// Why the cluster did not do what it was asked, in words that the controller acts on.

export type ClusterErrorReason =
  /** Somebody else has written since: read again. */
  | "conflict"
  | "exists"
  | "missing"
  /** The server refuses the object itself: another attempt would not help. */
  | "invalid"
  | "forbidden"
  /** The namespace is being deleted: nothing can be made in it. */
  | "terminating"
  /** The watched version is too old. */
  | "expired"
  | "throttled"
  /** Unreachable, 5xx, or no answer in time: the request may have been carried out. */
  | "unavailable";

export class ClusterError extends Error {
  readonly code = "CLUSTER_REQUEST_FAILED";
  readonly reason: ClusterErrorReason;
  /** How long the server asks to wait, ms. */
  readonly retryAfterMs: number | undefined;

  constructor(
    reason: ClusterErrorReason,
    subject: string,
    message: string,
    options: { readonly cause?: unknown; readonly retryAfterMs?: number } = {},
  ) {
    super(`${subject}: ${message}`, { cause: options.cause });
    this.name = "ClusterError";
    this.reason = reason;
    this.retryAfterMs = options.retryAfterMs;
  }
}

export function isClusterError(error: unknown, ...reasons: readonly ClusterErrorReason[]): error is ClusterError {
  return error instanceof ClusterError && (reasons.length === 0 || reasons.includes(error.reason));
}
