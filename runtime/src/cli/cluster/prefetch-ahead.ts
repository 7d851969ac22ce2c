// What a TaskManager that stands by does with its time: it keeps the newest checkpoint's files at hand until its run has started.
import { rm } from "node:fs/promises";
import { systemClock } from "../../base/clock.ts";
import type { Log } from "../../base/log.ts";
import { parseSize } from "../../base/size.ts";
import { Prefetcher } from "../../checkpoint/prefetch/prefetcher.ts";
import { openStorage } from "../../checkpoint/storage/open-storage.ts";
import type { RunConfig } from "../run/run-config.ts";

const defaultSize = "1 GiB";
/** How often it is looked whether the run has started. */
const lookMs = 500;
/** A run that has started restores at once; should it fail soon after, it restores the same files again. */
const keepMs = 5 * 60_000;

export interface PrefetchAhead {
  /** Where the copies are. */
  readonly directory: string;
  /** The first round is over: what can be at hand is. */
  readonly isFetched: boolean;
  /** Goes on until `hasStarted`. */
  start(hasStarted: () => boolean): void;
  close(): Promise<void>;
}

/** Undefined for a job without storage, and with MILLRACE_PREFETCH=0. */
export async function openPrefetch(
  { storage: url, s3 }: Pick<RunConfig, "storage" | "s3">,
  jobId: string,
  directory: string,
  log: Log,
): Promise<PrefetchAhead | undefined> {
  const maxBytes = parseSize(process.env["MILLRACE_PREFETCH"] ?? defaultSize, "MILLRACE_PREFETCH");
  if (url === undefined || maxBytes === 0) return undefined;
  const storage = await openStorage(url, { s3 });
  const prefetcher = new Prefetcher({ storage, folder: `${jobId}/`, directory, maxBytes, clock: systemClock, log });
  let isFetched = false;
  let cancel: () => void = () => {};
  let ending: Promise<void> | undefined;
  const end = (): Promise<void> => {
    ending ??= prefetcher.stop().then(() => storage.close());
    return ending;
  };
  const clear = (): Promise<void> => rm(directory, { recursive: true, force: true });
  const failed = (error: unknown): void => log.warn("files that were fetched ahead could not be put away", { reason: String(error) });
  return {
    directory,
    get isFetched() {
      return isFetched;
    },
    start(hasStarted) {
      const look = (): void => {
        if (!hasStarted()) {
          cancel = systemClock.after(lookMs, look);
          return;
        }
        end().catch(failed);
        cancel = systemClock.after(keepMs, () => void clear().catch(failed));
      };
      look();
      prefetcher.start().then(() => {
        isFetched = true;
      }, failed);
    },
    async close() {
      cancel();
      await end();
      await clear();
    },
  };
}
