// Shortens the application's repartition topics from time to time.
import type { Clock } from "../../base/clock.ts";

export interface Purging {
  /** Settles when nothing is under way any more. */
  end(): Promise<void>;
}

export function purgeRegularly(tasks: { purge(): Promise<void> }, intervalMs: number, clock: Clock): Purging {
  let over = false;
  let cancel: (() => void) | undefined;
  let working: Promise<void> = Promise.resolve();
  const later = (): void => {
    cancel = clock.after(intervalMs, () => {
      working = tasks.purge().then(() => {
        if (!over) later();
      });
    });
  };
  later();
  return {
    async end() {
      over = true;
      cancel?.();
      await working;
    },
  };
}
