// Every file that is made from the types of manifests: path and text. Knows nothing of disks.
import { stringify } from "yaml";
import { definition, MAX_BYTES } from "./definition.ts";
import { GROUP, kinds } from "./kinds.ts";
import { manifestSchema } from "./manifest-schema.ts";
import { typeReader } from "./read-types.ts";
import { referencePage } from "./reference-page.ts";

const note = "# Made from runtime/src/api by `npm run crds`: change the types, not this file.\n";

/** Paths are relative to the repository. */
export function outputs(): ReadonlyMap<string, string> {
  const read = typeReader();
  const files = new Map<string, string>();
  for (const kind of kinds) {
    const text = note + stringify(definition(kind, read), { lineWidth: 0, aliasDuplicateObjects: false });
    if (Buffer.byteLength(text) >= MAX_BYTES)
      throw new Error(`the definition of ${kind.kind} has ${Buffer.byteLength(text)} bytes; it must stay below ${MAX_BYTES}`);
    const name = `${GROUP}_${kind.plural}.yaml`;
    files.set(`crds/${name}`, text);
    // A chart can only hold what lies in its own folder.
    files.set(`charts/millrace/files/crds/${name}`, text);
    files.set(`docs/reference/crds/${kind.kind.toLowerCase()}.md`, referencePage(kind, read));
  }
  files.set("runtime/src/api/stream-job.schema.json", `${JSON.stringify(manifestSchema("StreamJob", read("StreamJobManifest")))}\n`);
  files.set(
    "runtime/src/api/micro-batch-job.schema.json",
    `${JSON.stringify(manifestSchema("MicroBatchJob", read("MicroBatchJobManifest")))}\n`,
  );
  files.set(
    "runtime/src/api/embedded-stream-app.schema.json",
    `${JSON.stringify(manifestSchema("EmbeddedStreamApp", read("EmbeddedStreamAppManifest")))}\n`,
  );
  return files;
}
