// The manifest of a batch: which files it brought. It is written when all of them can be seen, so whoever goes by manifests sees whole batches.
import { createHash } from "node:crypto";
import { relative } from "node:path";
import { MillraceError } from "../../../base/errors.ts";
import type { Location } from "../store/location.ts";
import type { OutputStore, Owner, PendingFile } from "./output-store.ts";
import { safePart } from "./part-name.ts";

/** The folder of manifests, below that of the files; its name hides it from readers of the files. */
export const manifestFolder = "_batches";

export interface BatchManifest {
  readonly version: 1;
  readonly job: string;
  readonly uid: string;
  /** The checkpoint that the files became visible with; of a query, the batch's id and one. */
  readonly checkpoint: number;
  /** Relative to the folder that the sink writes to, sorted. */
  readonly files: readonly string[];
}

type Batch = Pick<Owner, "jobName" | "uid"> & { readonly checkpointId: number };

/** The same batch has the same name, however often it is committed; another run's checkpoint of the same number has other files. */
export function manifestName({ jobName, uid, checkpointId }: Batch, files: readonly string[]): string {
  const mark = createHash("sha256").update(files.join("\n")).digest("hex").slice(0, 8);
  return `${manifestFolder}/${safePart(jobName)}.${safePart(uid)}.${String(checkpointId).padStart(12, "0")}.${mark}.json`;
}

/** Writes the manifest of files that were made visible; none for no files. */
export async function publishBatch(store: OutputStore, location: Location, batch: Batch, committed: readonly PendingFile[]): Promise<void> {
  if (committed.length === 0) return;
  const files = committed.map((file) => nameBelow(location, file)).sort();
  const manifest: BatchManifest = { version: 1, job: batch.jobName, uid: batch.uid, checkpoint: batch.checkpointId, files };
  await store.publish(manifestName(batch, files), Buffer.from(`${JSON.stringify(manifest)}\n`));
}

function nameBelow({ kind, bucket, base, text }: Location, file: PendingFile): string {
  if (file.kind === "s3") {
    const prefix = base === "" ? "" : `${base}/`;
    if (kind === "s3" && file.bucket === bucket && file.key.startsWith(prefix)) return file.key.slice(prefix.length);
  } else {
    const name = relative(base, file.path).replaceAll("\\", "/");
    if (kind === "local" && !name.startsWith("../")) return name;
  }
  throw new MillraceError(
    "OPTION_INVALID",
    'files sink option "path"',
    `is ${text}, but the batch whose commit is to be finished lies at ${file.kind === "s3" ? `s3://${file.bucket}/${file.key}` : file.path}`,
    "start once with the path of before, then change it",
  );
}
