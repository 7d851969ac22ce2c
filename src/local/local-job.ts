// A manifest as `millrace up` runs it: files found from the manifest's folder, and defaults for one machine.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { MicroBatchJobManifest, MicroBatchJobSpec, StreamJobManifest, StreamJobSpec } from "millrace/api";

/** The manifests that `millrace up` runs. */
export type LocalManifest = StreamJobManifest | MicroBatchJobManifest;

export async function localSpec(manifest: LocalManifest, file: string, folder: string): Promise<StreamJobSpec | MicroBatchJobSpec> {
  const { spec } = manifest;
  const module = resolve(dirname(file), spec.job.module);
  const code = await readFile(module).catch(() => Buffer.alloc(0));
  const local = {
    ...spec,
    // What an image is to a cluster: other code is another version.
    image: `local/${createHash("sha256").update(code).digest("hex").slice(0, 12)}`,
    job: { ...spec.job, module },
    checkpoints: { storage: pathToFileURL(`${folder}/snapshots`).href, ...spec.checkpoints },
  };
  if (manifest.kind === "StreamJob") {
    // A second JobManager on the same machine helps nobody.
    return { ...local, jobManager: { replicas: 1, ...manifest.spec.jobManager } };
  }
  // On one machine the driver processes.
  const { executors: _executors, ...batches } = local as MicroBatchJobSpec;
  return batches;
}
