// A manifest as `millrace up` runs it: files found from the manifest's folder, and defaults for one machine.
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type {
  EmbeddedStreamAppManifest,
  EmbeddedStreamAppSpec,
  MicroBatchJobManifest,
  MicroBatchJobSpec,
  StreamJobManifest,
  StreamJobSpec,
} from "millrace/api";

/** The manifests that `millrace up` runs. */
export type LocalManifest = StreamJobManifest | MicroBatchJobManifest | EmbeddedStreamAppManifest;
export type LocalSpec = StreamJobSpec | MicroBatchJobSpec | EmbeddedStreamAppSpec;

export async function localSpec(manifest: LocalManifest, file: string, folder: string): Promise<LocalSpec> {
  return manifest.kind === "EmbeddedStreamApp" ? localApp(manifest.spec, file) : localJob(manifest, file, folder);
}

const codeOf = (path: string): Promise<Buffer> => readFile(path).catch(() => Buffer.alloc(0));

// The service's own command, with the files that it names found from the manifest's folder.
async function localApp(spec: EmbeddedStreamAppSpec, file: string): Promise<EmbeddedStreamAppSpec> {
  if (spec.command === undefined)
    throw new Error("spec.command: missing; there is no image on this machine, so say what starts the service");
  const words = [...spec.command, ...(spec.args ?? [])];
  const files = words.map((word) => (/\.[cm]?[jt]s$/.test(word) ? resolve(dirname(file), word) : word));
  const hash = createHash("sha256");
  for (const [index, path] of files.entries()) if (path !== words[index]) hash.update(await codeOf(path));
  const { args: _args, ...rest } = spec;
  return { ...rest, image: `local/${hash.digest("hex").slice(0, 12)}`, command: files };
}

async function localJob(
  manifest: StreamJobManifest | MicroBatchJobManifest,
  file: string,
  folder: string,
): Promise<StreamJobSpec | MicroBatchJobSpec> {
  const { spec } = manifest;
  const module = resolve(dirname(file), spec.job.module);
  const code = await codeOf(module);
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
