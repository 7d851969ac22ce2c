// Reads the newest checkpoint once without making anything of it: connections are open and code is compiled when it counts.
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { checkpointFolder } from "../store/layout.ts";
import { readPointer } from "../store/latest-pointer.ts";
import { Restored } from "../store/restored.ts";
import { StoredSnapshot } from "../store/stored-snapshot.ts";

/** Returns the bytes of keyed state that were read, at most a little above `maxBytes`; 0 where there is no checkpoint. Rejects as a restore does. */
export async function rehearseRestore(storage: SnapshotStorage, folder: string, maxBytes: number): Promise<number> {
  const newest = (await readPointer(storage, folder))?.pointer.checkpoints[0];
  if (newest === undefined) return 0;
  const restored = await Restored.load(
    await StoredSnapshot.open(storage, `${folder}${checkpointFolder(newest.checkpointId)}`, newest.sha256),
  );
  let read = 0;
  for (const uid of restored.uids) {
    const state = restored.keyedState(uid, { from: 0, to: restored.manifest.maxParallelism });
    if (state === undefined) continue;
    for await (const { bytes } of state.blocks()) {
      read += bytes.length;
      if (read >= maxBytes) return read;
    }
  }
  return read;
}
