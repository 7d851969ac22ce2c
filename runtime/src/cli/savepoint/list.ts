// `millrace savepoint list`: every snapshot below a URL.
import { isMillraceError, messageOf } from "../../base/errors.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { openStorage, type StorageOptions } from "../../checkpoint/storage/open-storage.ts";
import { readPointer } from "../../checkpoint/store/latest-pointer.ts";
import { StoredSnapshot } from "../../checkpoint/store/stored-snapshot.ts";
import type { Print } from "./savepoint-command.ts";
import { formatBytes, formatTable, formatTime } from "./text-output.ts";

export interface ListedSnapshot {
  readonly url: string;
  readonly kind: "checkpoint" | "savepoint" | "damaged";
  readonly job: string;
  readonly checkpointId: number | null;
  readonly createdAt: string;
  readonly totalBytes: number;
  readonly committed: boolean;
  /** `latest`, `retained`, or `unlisted` for what its job has forgotten; of savepoints empty; of damaged ones what is wrong. */
  readonly note: string;
}

export async function listSnapshots(url: string, options: StorageOptions, json: boolean, print: Print): Promise<void> {
  const storage = await openStorage(url, { ...options, mustExist: true });
  try {
    const found: ListedSnapshot[] = [];
    for await (const { path } of storage.list("")) {
      if (path === "manifest.json" || path.endsWith("/manifest.json"))
        found.push(await describe(storage, path.slice(0, -"manifest.json".length)));
    }
    found.sort((a, b) => (a.job < b.job ? -1 : a.job > b.job ? 1 : (a.checkpointId ?? 0) - (b.checkpointId ?? 0)));
    if (json) return await print(`${JSON.stringify(found, undefined, 2)}\n`);
    if (found.length === 0) return await print(`no snapshots below ${storage.url}\n`);
    const rows = found.map((one) => [
      one.kind,
      one.job,
      one.checkpointId === null ? "-" : String(one.checkpointId),
      one.createdAt === "" ? "-" : formatTime(one.createdAt),
      formatBytes(one.totalBytes),
      one.committed ? "yes" : "no",
      one.note,
      one.url,
    ]);
    await print(formatTable(["KIND", "JOB", ">CHECKPOINT", "CREATED", ">SIZE", "COMMITTED", "NOTE", "URL"], rows));
  } finally {
    await storage.close();
  }
}

async function describe(storage: SnapshotStorage, folder: string): Promise<ListedSnapshot> {
  try {
    const snapshot = await StoredSnapshot.open(storage, folder);
    const { kind, jobName, checkpointId, createdAt } = snapshot.manifest;
    const note = kind === "savepoint" ? "" : await noteOf(storage, folder, checkpointId);
    return {
      url: snapshot.url,
      kind,
      job: jobName,
      checkpointId,
      createdAt,
      totalBytes: snapshot.totalBytes,
      committed: snapshot.committed,
      note,
    };
  } catch (error) {
    if (!isMillraceError(error) || !error.code.startsWith("SNAPSHOT_")) throw error;
    const url = folder === "" ? storage.url : `${storage.url}/${folder.slice(0, -1)}`;
    return {
      url,
      kind: "damaged",
      job: "-",
      checkpointId: null,
      createdAt: "",
      totalBytes: 0,
      committed: false,
      note: `${error.code}: ${messageOf(error)}`,
    };
  }
}

async function noteOf(storage: SnapshotStorage, folder: string, checkpointId: number): Promise<string> {
  const jobFolder = folder.slice(0, folder.lastIndexOf("/", folder.length - 2) + 1);
  const found = await readPointer(storage, jobFolder);
  const place = found?.pointer.checkpoints.findIndex((entry) => entry.checkpointId === checkpointId) ?? -1;
  return place === 0 ? "latest" : place > 0 ? "retained" : "unlisted";
}
