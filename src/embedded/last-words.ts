// What the process of an app leaves in its pod's termination message: the savepoint that has ended it.

export interface StoppedWith {
  readonly id: string;
  readonly location: string;
}

/** Undefined for a message that is something else, such as the last lines of a log. */
export function stoppedWithOf(message: string | undefined): StoppedWith | undefined {
  if (message === undefined || !message.startsWith("{")) return undefined;
  try {
    const { stopped } = JSON.parse(message) as { readonly stopped?: Partial<StoppedWith> };
    const { id, location } = stopped ?? {};
    return typeof id === "string" && typeof location === "string" ? { id, location } : undefined;
  } catch {
    // Cut off, or not ours.
    return undefined;
  }
}
