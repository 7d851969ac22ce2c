// From what the publisher knows to a manifest: paths become places in the list of files.
import { assert } from "../../base/errors.ts";
import { type Manifest, manifestFormat, manifestVersion, type OperatorManifest, type Payload } from "../format/manifest.ts";
import type { AckFile, AckPayload } from "../upload/ack.ts";
import type { OperatorRecord } from "./operator-record.ts";

export interface ManifestHead {
  readonly kind: Manifest["kind"];
  readonly jobName: string;
  readonly jobId: string;
  readonly checkpointId: number;
  readonly savepointId?: string;
  readonly epoch: number;
  readonly planFingerprint: string;
  readonly createdMs: number;
  readonly createdBy: string;
  readonly maxParallelism: number;
}

/** `prefix` leads from the manifest's folder to where the files' paths start. */
export function buildManifest(
  head: ManifestHead,
  operators: readonly OperatorRecord[],
  files: ReadonlyMap<string, AckFile>,
  prefix: string,
): Manifest {
  const paths = [...new Set(operators.flatMap(pathsOf))].sort();
  const numbers = new Map(paths.map((path, number) => [path, number]));
  const numberOf = (path: string): number => numbers.get(path) as number;
  const { createdMs, ...rest } = head;
  return {
    format: manifestFormat,
    formatVersion: manifestVersion,
    ...rest,
    createdAt: new Date(createdMs).toISOString(),
    files: paths.map((path) => {
      const file = files.get(path);
      assert(file !== undefined, `the file ${path} is known`);
      return { path: `${prefix}${path}`, sizeBytes: file.sizeBytes, sha256: file.sha256 };
    }),
    operators: Object.fromEntries(operators.map((operator) => [operator.uid, buildOperator(operator, numberOf)])),
  };
}

function buildOperator(record: OperatorRecord, numberOf: (path: string) => number): OperatorManifest {
  const tables = [...record.specs.values()];
  const tableOf = new Map(tables.map(({ id }, number) => [id, number]));
  const payload = (given: AckPayload): Payload => {
    if ("inline" in given) return given;
    const { path, ...range } = given;
    return { file: numberOf(path), ...range };
  };
  const { kind, parallelism, watermarkMs, source, sink } = record;
  return {
    kind,
    parallelism,
    watermarkMs,
    tables,
    state: record.parts.map(({ path, part, kind: partKind, checkpointId, from, to, sizeBytes, specIds }) => ({
      file: numberOf(path),
      part,
      kind: partKind,
      checkpointId,
      from,
      to,
      sizeBytes,
      tables: specIds.map((id) => tableOf.get(id) as number),
    })),
    lists: record.lists.map(({ name, redistribution, parts }) => ({
      name,
      redistribution,
      parts: parts.map((part) => ({ ...part, payload: payload(part.payload) })),
    })),
    ...(source === undefined
      ? {}
      : {
          source: {
            splits: source.splits,
            finished: source.finished ?? [],
            ...(source.enumerator === undefined ? {} : { enumerator: source.enumerator }),
          },
        }),
    ...(sink.length === 0 ? {} : { sink: sink.map((one) => ({ subtask: one.subtask, payload: payload(one.payload) })) }),
  };
}

function pathsOf(record: OperatorRecord): readonly string[] {
  const payloads = [...record.lists.flatMap((list) => list.parts), ...record.sink].map((part) => part.payload);
  return [...record.parts.map((part) => part.path), ...payloads.flatMap((one) => ("path" in one ? [one.path] : []))];
}
