// A lease in snapshot storage (a folder, or a bucket): for JobManagers that share one, without Kubernetes.
import { isMillraceError } from "../../../base/errors.ts";
import { describeSelf, hasEnded, isGone, type ProcessIdentity } from "../../../checkpoint/storage/process-identity.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import type { LeaseRecord, LeaseState, LeaseStore } from "./lease.ts";

interface StoredLease extends LeaseRecord {
  /** On the same machine the holder's death is seen at once. */
  readonly process: ProcessIdentity;
}

/** How often whoever stands by asks the system whether the holder's process is there: that costs microseconds. */
const glanceMs = 5;

export async function storageLease(storage: SnapshotStorage, path: string): Promise<LeaseStore> {
  const self = await describeSelf();
  let holder: ProcessIdentity | undefined;
  return {
    async read(): Promise<LeaseState | undefined> {
      try {
        const { content, version } = await storage.get(path);
        const { process, ...record } = JSON.parse(content.toString("utf8")) as StoredLease;
        holder = process;
        return { record, version, holderIsDead: await isGone(process, self) };
      } catch (error) {
        if (isMillraceError(error, "OBJECT_MISSING")) return undefined;
        throw error;
      }
    },
    async write(record, version) {
      const stored: StoredLease = { ...record, process: self };
      const content = Buffer.from(`${JSON.stringify(stored)}\n`);
      try {
        await (version === undefined ? storage.create(path, content) : storage.replace(path, content, version));
        return true;
      } catch (error) {
        if (isMillraceError(error, "OBJECT_CONFLICT")) return false;
        throw error;
      }
    },
    watchHolder(died) {
      const watched = holder;
      if (watched === undefined || watched.domain !== self.domain) return () => {};
      const timer = setInterval(() => {
        if (!hasEnded(watched.pid)) return;
        clearInterval(timer);
        died();
      }, glanceMs).unref();
      return () => clearInterval(timer);
    },
    close: () => storage.close(),
  };
}
