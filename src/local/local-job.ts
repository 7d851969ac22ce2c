// A manifest as `millrace up` runs it: files found from the manifest's folder, and defaults for one machine.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { StreamJobManifest, StreamJobSpec } from "millrace/api";

export async function localSpec(manifest: StreamJobManifest, file: string, folder: string): Promise<StreamJobSpec> {
  const { spec } = manifest;
  const module = resolve(dirname(file), spec.job.module);
  const code = await readFile(module).catch(() => Buffer.alloc(0));
  return {
    ...spec,
    // What an image is to a cluster: other code is another version.
    image: `local/${createHash("sha256").update(code).digest("hex").slice(0, 12)}`,
    job: { ...spec.job, module },
    checkpoints: { storage: pathToFileURL(`${folder}/snapshots`).href, ...spec.checkpoints },
    // A second JobManager on the same machine helps nobody.
    jobManager: { replicas: 1, ...spec.jobManager },
  };
}
