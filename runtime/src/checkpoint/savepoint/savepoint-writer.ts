// Writes a savepoint: one data file with the merged state of a checkpoint, and a manifest that refers to nothing outside its folder.
import { randomBytes } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { isMillraceError } from "../../base/errors.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import type { EntryMerging } from "../../core/ports/state-entries.ts";
import type { Compression } from "../format/data-file.ts";
import { DataFileWriter } from "../format/data-file-writer.ts";
import type { Manifest, OperatorManifest, Payload, StateRef } from "../format/manifest.ts";
import { encodeManifest } from "../format/manifest-codec.ts";
import { manifestPath } from "../store/layout.ts";
import { mergeState } from "./merge-state.ts";
import { StoredSnapshot } from "../store/stored-snapshot.ts";

export interface SavepointRequest {
  readonly id: string;
  readonly from: StoredSnapshot;
  readonly storage: SnapshotStorage;
  /** The savepoint's own folder, with a slash at its end. */
  readonly folder: string;
  readonly merging: EntryMerging;
  readonly compression: Compression;
  readonly clock: Clock;
}

/** A data file of a savepoint, in its folder: no other attempt has the same name. */
export function savepointFileName(): string {
  return `data-${randomBytes(8).toString("hex")}.mst`;
}

/**
 * Copies what `from` holds into the folder; the manifest comes last. When somebody else completes the same savepoint meanwhile,
 * theirs is the result and this copy is dropped.
 */
export async function writeSavepoint(request: SavepointRequest): Promise<StoredSnapshot> {
  const { from, storage, folder, id, clock } = request;
  const name = savepointFileName();
  const writer = new DataFileWriter(storage.openWriter(`${folder}${name}`), request.compression);
  const operators: [string, OperatorManifest][] = [];
  let file: { readonly sizeBytes: number; readonly sha256: string } | undefined;
  try {
    for (const [uid, operator] of Object.entries(from.manifest.operators))
      operators.push([uid, await copyOperator(request, writer, uid, operator)]);
    if (writer.isEmpty) await writer.abort();
    else file = await writer.finish();
  } catch (error) {
    await writer.abort();
    throw error;
  }
  const manifest: Manifest = {
    ...from.manifest,
    kind: "savepoint",
    savepointId: id,
    createdAt: new Date(clock.now()).toISOString(),
    files: file === undefined ? [] : [{ path: name, ...file }],
    operators: Object.fromEntries(operators),
  };
  try {
    await storage.create(manifestPath(folder), encodeManifest(manifest));
  } catch (error) {
    if (!isMillraceError(error, "OBJECT_CONFLICT")) throw error;
    await storage.delete([`${folder}${name}`]);
  }
  const written = await StoredSnapshot.open(storage, folder);
  await dropLeftovers(written);
  return written;
}

async function copyOperator(
  request: SavepointRequest,
  writer: DataFileWriter,
  uid: string,
  operator: OperatorManifest,
): Promise<OperatorManifest> {
  const payload = async (given: Payload): Promise<Payload> => {
    if ("inline" in given) return given;
    return { file: 0, ...(await writer.addPayload(await request.from.payload(given))) };
  };
  const state = await copyState(request, writer, uid, operator);
  const lists = [];
  for (const list of operator.lists) {
    const parts = [];
    for (const part of list.parts) parts.push({ ...part, payload: await payload(part.payload) });
    lists.push({ ...list, parts });
  }
  const sink = [];
  for (const one of operator.sink ?? []) sink.push({ ...one, payload: await payload(one.payload) });
  return { ...operator, state, lists, ...(operator.sink === undefined ? {} : { sink }) };
}

async function copyState(
  { from, merging }: SavepointRequest,
  writer: DataFileWriter,
  uid: string,
  operator: OperatorManifest,
): Promise<readonly StateRef[]> {
  const { maxParallelism, checkpointId } = from.manifest;
  const places = new Map(operator.tables.map(({ spec }, place) => [spec, place]));
  const used = new Set<number>();
  let sizeBytes = 0;
  for await (const { spec, ...block } of mergeState(
    from,
    uid,
    operator.state,
    { from: 0, to: maxParallelism },
    { merging, keepDeletions: false },
  )) {
    const place = places.get(spec) ?? 0;
    used.add(place);
    sizeBytes += await writer.addBlocks(uid, "base", new Map([[block.table, operator.tables[place]?.id ?? ""]]), [block]);
  }
  if (used.size === 0) return [];
  return [
    { file: 0, part: "base", kind: "base", checkpointId, from: 0, to: maxParallelism, sizeBytes, tables: [...used].sort((a, b) => a - b) },
  ];
}

/** Deletes data files of attempts that died. One that is still going on loses its file too, and then finds that the savepoint is complete. */
export async function dropLeftovers(written: StoredSnapshot): Promise<void> {
  const { storage, folder, manifest } = written;
  const own = new Set(manifest.files.map((_file, number) => written.filePath(number)));
  const leftovers: string[] = [];
  for await (const { path } of storage.list(`${folder}data-`)) if (!own.has(path)) leftovers.push(path);
  await storage.delete(leftovers);
}
