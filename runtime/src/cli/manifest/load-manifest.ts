// Reads the manifest of a job: YAML, checked against its schema; every problem is named with its place.
import { readFile } from "node:fs/promises";
import type { ErrorObject } from "ajv";
import type { EmbeddedStreamAppManifest, MicroBatchJobManifest, StreamJobManifest } from "../../api/index.ts";
import { embeddedStreamAppSchema, microBatchJobSchema, streamJobSchema } from "../../api/index.ts";
import { MillraceError, messageOf } from "../../base/errors.ts";

/** The StreamJob manifest in a file; throws MANIFEST_UNREADABLE, MANIFEST_SYNTAX or MANIFEST_INVALID. */
export async function loadManifest(path: string): Promise<StreamJobManifest> {
  return parseManifest(await readText(path), path);
}

/** The manifest of a job of either kind that runs by a command, in a file; throws what `loadManifest` throws. */
export async function loadJobManifest(path: string): Promise<StreamJobManifest | MicroBatchJobManifest> {
  const value = await parseYaml(await readText(path), path);
  const isBatches = typeof value === "object" && value !== null && "kind" in value && value.kind === "MicroBatchJob";
  return isBatches
    ? check<MicroBatchJobManifest>(value, microBatchJobSchema, path, "docs/reference/crds/microbatchjob.md")
    : check<StreamJobManifest>(value, streamJobSchema, path, "docs/reference/streamjob.md");
}

/** The manifest of whatever `millrace up` runs, in a file; throws what `loadManifest` throws. */
export async function loadAnyManifest(path: string): Promise<StreamJobManifest | MicroBatchJobManifest | EmbeddedStreamAppManifest> {
  const value = await parseYaml(await readText(path), path);
  const isApp = typeof value === "object" && value !== null && "kind" in value && value.kind === "EmbeddedStreamApp";
  return isApp
    ? check<EmbeddedStreamAppManifest>(value, embeddedStreamAppSchema, path, "docs/reference/crds/embeddedstreamapp.md")
    : loadJobManifest(path);
}

/** The StreamJob manifest in a text; `path` names it in errors. */
export async function parseManifest(text: string, path: string): Promise<StreamJobManifest> {
  return check<StreamJobManifest>(await parseYaml(text, path), streamJobSchema, path, "docs/reference/streamjob.md");
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new MillraceError("MANIFEST_UNREADABLE", path, messageOf(cause), "check the path", { cause });
  }
}

async function parseYaml(text: string, path: string): Promise<unknown> {
  const { parseAllDocuments } = await import("yaml");
  const documents = parseAllDocuments(text).filter((document) => !("contents" in document) || document.contents !== null);
  const [document] = documents;
  if (document === undefined || documents.length !== 1) {
    throw new MillraceError("MANIFEST_SYNTAX", path, `it holds ${documents.length} documents`, "give one job per file");
  }
  const [syntaxError] = document.errors;
  if (syntaxError !== undefined) {
    throw new MillraceError("MANIFEST_SYNTAX", path, syntaxError.message.split("\n")[0] ?? "not YAML", "mend the YAML at that line");
  }
  return document.toJS();
}

async function check<Manifest>(value: unknown, schema: object, path: string, reference: string): Promise<Manifest> {
  const { Ajv } = await import("ajv");
  const ajv = new Ajv({ allErrors: true, allowUnionTypes: true });
  const validate = ajv.compile<Manifest>(schema);
  if (validate(value)) return value;
  const problems = describeErrors(validate.errors ?? []);
  throw new MillraceError("MANIFEST_INVALID", path, problems.join("; "), `see ${reference} for all fields`);
}

// The errors of alternatives say little: the one at the outermost place stands for them.
function describeErrors(errors: readonly ErrorObject[]): readonly string[] {
  const kept = errors.filter(
    (error) =>
      !errors.some(
        (other) => other !== error && other.instancePath === error.instancePath && isAlternative(other) && !isAlternative(error),
      ),
  );
  return [...new Set(kept.map(describeError))].slice(0, 10);
}

function isAlternative(error: ErrorObject): boolean {
  return error.keyword === "anyOf" || error.keyword === "oneOf";
}

function describeError(error: ErrorObject): string {
  const place = error.instancePath === "" ? "the manifest" : error.instancePath.slice(1).replaceAll("/", ".");
  const params: Readonly<Record<string, unknown>> = error.params;
  switch (error.keyword) {
    case "additionalProperties":
      return `${place}: unknown field "${String(params["additionalProperty"])}"`;
    case "required":
      return `${place}: "${String(params["missingProperty"])}" is missing`;
    case "const":
      return `${place} must be ${JSON.stringify(params["allowedValue"])}`;
    case "enum":
      return `${place} must be one of ${(params["allowedValues"] as readonly unknown[]).join(", ")}`;
    default:
      return `${place} ${error.message ?? "is not valid"}`;
  }
}
