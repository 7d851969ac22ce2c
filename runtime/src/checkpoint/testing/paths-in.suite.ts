// Lists what a storage holds, for tests.
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";

export async function pathsIn(storage: SnapshotStorage, prefix = ""): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of storage.list(prefix)) paths.push(path);
  return paths;
}
