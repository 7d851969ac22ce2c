// From JSON to a manifest whose members are all known and whose references all lead somewhere.
import type { Redistribution } from "../../core/ports/operator-state.ts";
import type { StoredTableSpec } from "../../core/ports/state-backend.ts";
import type { RowSpec } from "../../core/schema/type-spec.ts";
import { type Manifest, manifestFormat, manifestVersion, type OperatorManifest, type Payload } from "./manifest.ts";
import { count, json, listOf, matching, numberOrNull, object, objectWith, oneOf, type Place, recordOf, type Shape, text } from "./shape.ts";
import { snapshotCorrupt } from "./snapshot-errors.ts";

const range = { offset: count, storedBytes: count, rawBytes: count, compression: oneOf("none", "zstd"), crc32c: count };
const storedPayload = object({ file: count, ...range });
const inlinePayload = object({ inline: text });
const payload: Shape<Payload> = (value, at) =>
  typeof value === "object" && value !== null && "inline" in value ? inlinePayload(value, at) : storedPayload(value, at);

// Field specs are the schema's own affair: whoever makes a Schema of them checks them.
const rowSpec = recordOf(json) as Shape<RowSpec>;
const tableSpec: Shape<StoredTableSpec> = objectWith(
  {
    name: text,
    form: oneOf("table", "multi", "timers"),
    key: rowSpec,
    keyForm: oneOf("integer", "text", "bytes"),
    value: rowSpec,
    valueOrder: listOf(text),
    keyOrder: listOf(text),
  },
  { subKey: oneOf("number", "string") },
);

const operator: Shape<OperatorManifest> = objectWith(
  {
    kind: text,
    parallelism: count,
    watermarkMs: numberOrNull,
    tables: listOf(object({ id: matching(/^[0-9a-f]{16}$/, "16 hexadecimal digits"), spec: tableSpec })),
    state: listOf(
      object({
        file: count,
        part: oneOf("changes", "base"),
        kind: oneOf("base", "delta"),
        checkpointId: count,
        from: count,
        to: count,
        sizeBytes: count,
        tables: listOf(count),
      }),
    ),
    lists: listOf(
      object({
        name: text,
        redistribution: oneOf<Redistribution>("split", "union", "broadcast"),
        parts: listOf(object({ subtask: count, entryCount: count, payload })),
      }),
    ),
  },
  {
    source: objectWith(
      { splits: listOf(object({ id: text, position: json, subtask: count, watermarkMs: numberOrNull })), finished: listOf(text) },
      { enumerator: json },
    ),
    sink: listOf(object({ subtask: count, payload })),
  },
);

const manifest = objectWith(
  {
    format: oneOf(manifestFormat),
    formatVersion: oneOf(manifestVersion),
    kind: oneOf("checkpoint", "savepoint"),
    jobName: text,
    jobId: text,
    checkpointId: count,
    epoch: count,
    planFingerprint: text,
    createdAt: text,
    createdBy: text,
    maxParallelism: count,
    files: listOf(
      object({
        path: matching(/^(\.\.\/)*[A-Za-z0-9_][A-Za-z0-9_.=-]*(\/[A-Za-z0-9_][A-Za-z0-9_.=-]*)*$/, "a relative path"),
        sizeBytes: count,
        sha256: matching(/^[0-9a-f]{64}$/, "64 hexadecimal digits"),
      }),
    ),
    operators: recordOf(operator),
  },
  { savepointId: text, checksum: text },
);

/** Throws SNAPSHOT_CORRUPT or SNAPSHOT_FIELD_UNKNOWN, naming the place. */
export function parseManifest(value: unknown, file: string): Manifest {
  const at: Place = { file, where: "" };
  const { checksum: _checksum, ...parsed } = manifest(value, at);
  const wrong = (problem: string): Error => snapshotCorrupt(file, 0, problem);
  for (const [uid, one] of Object.entries(parsed.operators)) {
    for (const ref of one.state) {
      if (ref.file >= parsed.files.length) throw wrong(`operator ${uid} refers to data file ${ref.file} of ${parsed.files.length}`);
      if (ref.from >= ref.to || ref.to > parsed.maxParallelism) throw wrong(`operator ${uid} has the key groups ${ref.from} to ${ref.to}`);
      if (ref.tables.some((number) => number >= one.tables.length)) throw wrong(`operator ${uid} refers to a table spec that is not there`);
    }
    const payloads = [...one.lists.flatMap((list) => list.parts), ...(one.sink ?? [])].map((part) => part.payload);
    if (payloads.some((ref) => "file" in ref && ref.file >= parsed.files.length))
      throw wrong(`operator ${uid} refers to a data file that is not there`);
  }
  return parsed;
}
