// A lease in snapshot storage (a folder, or a bucket): for JobManagers that share one, without Kubernetes.
//
// What lies there is input: somebody may have cut it off or put another file in its place. It then says nothing of who leads, so it is the
// lease of somebody unknown: it counts as long as an intact one, and who waits for that replaces it. A leader that finds it stops leading.
import { isMillraceError, messageOf } from "../../../base/errors.ts";
import { count, flag, matching, object, objectWith, parseShape, type Shape, text, within } from "../../../checkpoint/format/shape.ts";
import { describeSelf, hasEnded, isGone, type ProcessIdentity } from "../../../checkpoint/storage/process-identity.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import { leaseTimes } from "./elector.ts";
import type { LeaseRecord, LeaseState, LeaseStore } from "./lease.ts";

interface StoredLease extends LeaseRecord {
  /** On the same machine the holder's death is seen at once. */
  readonly process?: ProcessIdentity;
}

const day = 24 * 60 * 60 * 1000;
const leaseShape: Shape<StoredLease> = objectWith(
  {
    // An empty holder would be nobody's.
    holder: matching(/./, "a name"),
    renewals: count,
    durationMs: within(1, day),
    address: object({ rpc: matching(/./, "an address"), rest: text }),
    released: flag,
  },
  // A process id below 1 would stand for a group of processes.
  { process: object({ domain: text, pid: within(1, 2 ** 31 - 1), started: text }) },
);

/** Nobody's name, and as long as any holder counts on. */
const unknownHolder: LeaseRecord = {
  holder: "",
  renewals: 0,
  durationMs: leaseTimes.durationMs,
  address: { rpc: "", rest: "" },
  released: false,
};

/** How often whoever stands by asks the system whether the holder's process is there: that costs microseconds. */
const glanceMs = 5;

export async function storageLease(storage: SnapshotStorage, path: string): Promise<LeaseStore> {
  const self = await describeSelf();
  let holder: ProcessIdentity | undefined;
  return {
    async read(): Promise<LeaseState | undefined> {
      try {
        const { content, version } = await storage.get(path);
        const read = parse(content, `${storage.url}/${path}`);
        holder = "damage" in read ? undefined : read.process;
        if ("damage" in read) return { record: unknownHolder, version, holderIsDead: false, damage: read.damage };
        const { process, ...record } = read;
        return { record, version, holderIsDead: process !== undefined && (await isGone(process, self)) };
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

function parse(content: Buffer, file: string): StoredLease | { readonly damage: string } {
  try {
    return parseShape(leaseShape, content, file, (problem) => new Error(`${file}: ${problem}`));
  } catch (error) {
    return { damage: messageOf(error) };
  }
}
