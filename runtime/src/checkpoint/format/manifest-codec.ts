// Manifests as text: JSON that ends in a checksum over everything before it, read strictly.
import { createHash } from "node:crypto";
import { MillraceError } from "../../base/errors.ts";
import { type Manifest, manifestFormat, manifestVersion } from "./manifest.ts";
import { parseManifest } from "./manifest-parse.ts";
import { snapshotCorrupt } from "./snapshot-errors.ts";

/** A manifest larger than this is refused, written or read. */
const maxManifestBytes = 256 * 1024 * 1024;
const sealStart = ',\n"checksum":"sha256:';
const sealEnd = '"}\n';
const sealBytes = sealStart.length + 64 + sealEnd.length;

/** One operator per line, so that a manifest can be looked at with a pager and compared with diff. */
export function encodeManifest(manifest: Manifest): Buffer {
  const { files, operators, ...head } = manifest;
  const line = (value: unknown): string => JSON.stringify(value);
  const lines = [
    line(head).slice(0, -1),
    `"files":[${files.map((file) => `\n  ${line(file)}`).join(",")}]`,
    `"operators":{${Object.entries(operators)
      .map(([uid, operator]) => `\n  ${line(uid)}:${line(operator)}`)
      .join(",")}}`,
  ];
  const body = Buffer.from(lines.join(",\n"));
  if (body.length > maxManifestBytes) {
    throw new MillraceError(
      "SNAPSHOT_TOO_LARGE",
      "manifest",
      `it has ${body.length} bytes`,
      "lower the number of sources' splits or of operators",
    );
  }
  return Buffer.concat([body, Buffer.from(`${sealStart}${digest(body)}${sealEnd}`)]);
}

/**
 * Reads and checks a manifest. `file` names it in errors: SNAPSHOT_CORRUPT for damage, SNAPSHOT_FORMAT_UNKNOWN for another
 * version of the format, SNAPSHOT_FIELD_UNKNOWN for members that this version does not know.
 */
export function decodeManifest(content: Buffer, file: string): Manifest {
  const bodyEnd = content.length - sealBytes;
  const seal = content.toString("latin1", Math.max(0, bodyEnd));
  if (bodyEnd < 2 || !seal.startsWith(sealStart) || !seal.endsWith(sealEnd)) {
    throw snapshotCorrupt(file, Math.max(0, bodyEnd), "the manifest does not end in its checksum: it was cut off or is something else");
  }
  if (seal.slice(sealStart.length, -sealEnd.length) !== digest(content.subarray(0, bodyEnd))) {
    throw snapshotCorrupt(file, 0, "the checksum of the manifest does not match");
  }
  let json: unknown;
  try {
    json = JSON.parse(content.toString("utf8"));
  } catch (error) {
    throw snapshotCorrupt(file, 0, "the manifest is no JSON", error);
  }
  const { format, formatVersion } = json as { readonly format?: unknown; readonly formatVersion?: unknown };
  if (format !== manifestFormat) throw snapshotCorrupt(file, 0, `the format is "${String(format)}", not "${manifestFormat}"`);
  if (formatVersion !== manifestVersion) {
    throw new MillraceError(
      "SNAPSHOT_FORMAT_UNKNOWN",
      file,
      `the snapshot has format version ${String(formatVersion)}; this Millrace reads version ${manifestVersion}`,
      "use the Millrace version that wrote it, or a newer one",
    );
  }
  return parseManifest(json, file);
}

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
