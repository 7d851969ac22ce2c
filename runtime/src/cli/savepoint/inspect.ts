// `millrace savepoint inspect`: what a snapshot holds, from its manifest and the indexes of its data files.
import { createHash } from "node:crypto";
import type { StorageOptions } from "../../checkpoint/storage/open-storage.ts";
import type { OperatorManifest } from "../../checkpoint/format/manifest.ts";
import { snapshotCorrupt } from "../../checkpoint/format/snapshot-errors.ts";
import { Restored } from "../../checkpoint/store/restored.ts";
import type { StoredSnapshot } from "../../checkpoint/store/stored-snapshot.ts";
import type { TypeSpec } from "../../core/schema/type-spec.ts";
import { withSnapshot } from "./open-for-reading.ts";
import type { Print } from "./savepoint-command.ts";
import { formatBytes, formatCount, formatTable, formatTime } from "./text-output.ts";

interface TableSummary {
  readonly uid: string;
  readonly table: string;
  readonly form: string;
  readonly key: string;
  readonly value: string;
  /** Stored changes: of a savepoint the number of entries, of a checkpoint more, since later ones replace earlier ones. */
  readonly changes: number;
  readonly storedBytes: number;
}

export async function inspectSnapshot(
  url: string,
  options: StorageOptions,
  flags: { readonly json: boolean; readonly verify: boolean },
  print: Print,
): Promise<void> {
  await withSnapshot(url, options, async (snapshot) => {
    const verified = flags.verify ? await verify(snapshot) : undefined;
    const tables = await summarize(snapshot);
    const { manifest } = snapshot;
    if (flags.json) {
      const checked = verified === undefined ? {} : { verified };
      return print(
        `${JSON.stringify({ url: snapshot.url, committed: snapshot.committed, totalBytes: snapshot.totalBytes, ...checked, tables, manifest }, undefined, 2)}\n`,
      );
    }
    const { kind, jobName, jobId, checkpointId, savepointId, epoch, createdAt, createdBy, maxParallelism, planFingerprint } = manifest;
    const facts: readonly (readonly [string, string])[] = [
      ["url", snapshot.url],
      ["kind", savepointId === undefined ? kind : `${kind} "${savepointId}"`],
      ["job", jobName === jobId ? jobName : `${jobName} (${jobId})`],
      ["checkpoint", `${checkpointId}, epoch ${epoch}, sinks ${snapshot.committed ? "committed" : "not known to be committed"}`],
      ["created", `${formatTime(createdAt)} by ${createdBy}`],
      ["plan", `${planFingerprint}, maxParallelism ${maxParallelism}`],
      [
        "size",
        `${formatBytes(snapshot.totalBytes)} in ${manifest.files.length} data ${manifest.files.length === 1 ? "file" : "files"} and the manifest`,
      ],
      ...(verified === undefined
        ? []
        : ([["verified", `${formatBytes(verified.bytes)}, ${formatCount(verified.changes)} stored changes, no damage`]] as const)),
    ];
    await print(facts.map(([name, value]) => `${name.padEnd(11)} ${value}\n`).join(""));
    const operators = Object.entries(manifest.operators);
    await print(`\n${formatTable(["OPERATOR", "KIND", ">PARALLELISM", "WATERMARK", "HOLDS"], operators.map(operatorRow))}`);
    if (tables.length > 0) {
      const rows = tables.map((one) => [
        one.uid,
        one.table,
        one.form,
        one.key,
        one.value,
        formatCount(one.changes),
        formatBytes(one.storedBytes),
      ]);
      await print(
        `\n${formatTable(["OPERATOR", "TABLE", "FORM", "KEY", "VALUE", kind === "savepoint" ? ">ENTRIES" : ">CHANGES", ">SIZE"], rows)}`,
      );
    }
    const splits = operators.flatMap(([uid, { source }]) =>
      (source?.splits ?? []).map((split) => [uid, split.id, JSON.stringify(split.position), watermark(split.watermarkMs)]),
    );
    if (splits.length > 0) await print(`\n${formatTable(["SOURCE", "SPLIT", "POSITION", "WATERMARK"], splits)}`);
  });
}

function operatorRow([uid, { kind, parallelism, watermarkMs, state, lists, source, sink }]: readonly [
  string,
  OperatorManifest,
]): readonly string[] {
  const deltas = state.filter((part) => part.kind === "delta").length;
  const bases = state.length - deltas;
  const holds = [
    ...(bases > 0 ? [`${bases} ${bases === 1 ? "base" : "bases"}`] : []),
    ...(deltas > 0 ? [`${deltas} ${deltas === 1 ? "delta" : "deltas"}`] : []),
    ...lists.map((list) => `list ${list.name} (${formatCount(list.parts.reduce((sum, part) => sum + part.entryCount, 0))})`),
    ...(source === undefined ? [] : [`${source.splits.length} splits, ${source.finished.length} finished`]),
    ...(sink === undefined ? [] : ["sink state"]),
  ];
  return [uid, kind, String(parallelism), watermark(watermarkMs), holds.join(", ")];
}

function watermark(watermarkMs: number | null): string {
  return watermarkMs === null || Math.abs(watermarkMs) > 8.64e15 ? "-" : formatTime(new Date(watermarkMs).toISOString());
}

async function summarize(snapshot: StoredSnapshot): Promise<readonly TableSummary[]> {
  const summaries: TableSummary[] = [];
  const whole = { from: 0, to: snapshot.manifest.maxParallelism };
  for (const [uid, operator] of Object.entries(snapshot.manifest.operators)) {
    const sums = new Map<string, { changes: number; storedBytes: number }>();
    for (const ref of operator.state) {
      for (const block of await snapshot.blocksOf(uid, ref, whole)) {
        const sum = sums.get(block.specId) ?? { changes: 0, storedBytes: 0 };
        sum.changes += block.entryCount;
        sum.storedBytes += block.storedBytes;
        sums.set(block.specId, sum);
      }
    }
    for (const { id, spec } of operator.tables) {
      const fields = (order: readonly string[], of: typeof spec.value): string =>
        order.map((name) => `${name} ${typeName(of[name]?.type)}`).join(", ");
      const { changes, storedBytes } = sums.get(id) ?? { changes: 0, storedBytes: 0 };
      const form = spec.subKey === undefined || spec.form === "timers" ? spec.form : `${spec.form} by ${spec.subKey}`;
      summaries.push({
        uid,
        table: spec.name,
        form,
        key: fields(spec.keyOrder, spec.key),
        value: fields(spec.valueOrder, spec.value),
        changes,
        storedBytes,
      });
    }
  }
  return summaries;
}

function typeName(type: TypeSpec | undefined): string {
  if (type === undefined) return "?";
  switch (type.kind) {
    case "decimal":
      return `decimal(${type.precision},${type.scale})`;
    case "timestamp":
      return `timestamp(${type.unit})`;
    case "list":
    case "map":
      return `${type.kind}<${typeName(type.of.type)}>`;
    default:
      return type.kind;
  }
}

// Every byte of every data file against the file's checksum, then every block and payload that the manifest refers to.
async function verify(snapshot: StoredSnapshot): Promise<{ readonly bytes: number; readonly changes: number }> {
  const { storage, manifest } = snapshot;
  const chunkBytes = 4 * 1024 * 1024;
  let bytes = snapshot.manifestBytes;
  let changes = 0;
  for (const [number, { sizeBytes, sha256 }] of manifest.files.entries()) {
    const path = snapshot.filePath(number);
    await snapshot.reader(number);
    const hash = createHash("sha256");
    for (let start = 0; start < sizeBytes; start += chunkBytes)
      hash.update(await storage.getRange(path, start, Math.min(sizeBytes, start + chunkBytes)));
    if (hash.digest("hex") !== sha256) throw snapshotCorrupt(`${storage.url}/${path}`, 0, "the checksum of the file does not match");
    bytes += sizeBytes;
  }
  await Restored.load(snapshot);
  for (const uid of Object.keys(manifest.operators)) {
    for await (const block of snapshot.keyedState(uid, { from: 0, to: manifest.maxParallelism })?.blocks() ?? [])
      changes += block.entryCount;
  }
  return { bytes, changes };
}
