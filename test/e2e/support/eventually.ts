// Waiting by condition, with a limit.

export interface WaitOptions {
  readonly timeoutMs?: number;
  readonly everyMs?: number;
}

/** Asks until the answer is there; the last error or answer is in what it throws. */
export async function eventually<T>(what: string, probe: () => Promise<T | undefined>, options: WaitOptions = {}): Promise<T> {
  const until = Date.now() + (options.timeoutMs ?? 180_000);
  let last: unknown = "no answer";
  for (;;) {
    try {
      const value = await probe();
      if (value !== undefined) return value;
    } catch (error) {
      last = error;
    }
    if (Date.now() > until) throw new Error(`${what}: not within ${(options.timeoutMs ?? 180_000) / 1000} s`, { cause: last });
    await new Promise((resolve) => setTimeout(resolve, options.everyMs ?? 500));
  }
}
