// The `latest` pointer of a job: which checkpoints there are, and who may add to them. Replaced only conditionally: that is the fence.
import { randomUUID } from "node:crypto";
import { isMillraceError, MillraceError } from "../../base/errors.ts";
import type { ObjectVersion, SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { count, listOf, matching, object, oneOf, type Shape, text } from "../format/shape.ts";
import { snapshotCorrupt } from "../format/snapshot-errors.ts";

export const pointerName = "latest";
const pointerFormat = "millrace-latest";
const maxAttempts = 20;
/** The run is the upper part of an epoch: takeovers within it count below. */
const epochsPerRun = 2 ** 20;

/** The number of the run that had this epoch. */
export function runOfEpoch(epoch: number): number {
  return Math.floor(epoch / epochsPerRun);
}

/** The least epoch that a run can have. */
export function firstEpochOfRun(run: number): number {
  return run * epochsPerRun;
}

/** A published checkpoint. */
export interface PointerEntry {
  readonly checkpointId: number;
  readonly epoch: number;
  /** The manifest, relative to the job's folder. */
  readonly path: string;
  /** Of the manifest. */
  readonly sha256: string;
  readonly createdMs: number;
}

export interface Pointer {
  readonly format: typeof pointerFormat;
  readonly formatVersion: 1;
  /** Rises with every writer that takes over. */
  readonly epoch: number;
  /** Tells writers apart: unique per acquisition of an epoch. */
  readonly writer: string;
  /** Newest first. What is not listed does not exist, whatever files there are. */
  readonly checkpoints: readonly PointerEntry[];
}

const pointerShape: Shape<Pointer> = object({
  format: oneOf(pointerFormat),
  formatVersion: oneOf(1),
  epoch: count,
  writer: text,
  checkpoints: listOf(
    object({
      checkpointId: count,
      epoch: count,
      path: text,
      sha256: matching(/^[0-9a-f]{64}$/, "64 hexadecimal digits"),
      createdMs: count,
    }),
  ),
});

/** Reads the pointer at `folder`; undefined where no job has been. Rejects with SNAPSHOT_CORRUPT. */
export async function readPointer(
  storage: SnapshotStorage,
  folder: string,
): Promise<{ readonly pointer: Pointer; readonly version: ObjectVersion } | undefined> {
  const path = `${folder}${pointerName}`;
  const file = `${storage.url}/${path}`;
  try {
    const { content, version } = await storage.get(path);
    return { pointer: pointerShape(JSON.parse(content.toString("utf8")), { file, where: "" }), version };
  } catch (error) {
    if (isMillraceError(error, "OBJECT_MISSING")) return undefined;
    throw error instanceof SyntaxError ? snapshotCorrupt(file, 0, "the pointer is no JSON", error) : error;
  }
}

/** The pointer as its one rightful writer sees it. */
export class PointerWriter {
  readonly #storage: SnapshotStorage;
  readonly #folder: string;
  #current: Pointer;
  #version: ObjectVersion;
  /** A write whose outcome is not known. */
  #inDoubt: Pointer | undefined;
  #fencedBy: number | undefined;

  private constructor(storage: SnapshotStorage, folder: string, current: Pointer, version: ObjectVersion) {
    this.#storage = storage;
    this.#folder = folder;
    this.#current = current;
    this.#version = version;
  }

  /**
   * Takes the job over: raises the epoch, after which every earlier writer fails with FENCED. Runs of a job are numbered and the numbers
   * only rise: a run below the one that has the pointer is refused with FENCED. Without a number (0) none is.
   */
  static async acquire(storage: SnapshotStorage, folder: string, run = 0): Promise<PointerWriter> {
    for (let attempt = 1; ; attempt++) {
      const before = await readPointer(storage, folder);
      const runBefore = runOfEpoch(before?.pointer.epoch ?? 0);
      if (run > 0 && runBefore > run) {
        throw new MillraceError(
          "FENCED",
          `${storage.url}/${folder}${pointerName}`,
          `run ${runBefore} has taken the job over, this is run ${run}`,
          "stop this process: a later run of the job has begun",
        );
      }
      const mine: Pointer = {
        format: pointerFormat,
        formatVersion: 1,
        epoch: Math.max(before?.pointer.epoch ?? 0, run * epochsPerRun) + 1,
        writer: randomUUID(),
        checkpoints: before?.pointer.checkpoints ?? [],
      };
      const path = `${folder}${pointerName}`;
      try {
        const version =
          before === undefined ? await storage.create(path, encode(mine)) : await storage.replace(path, encode(mine), before.version);
        return new PointerWriter(storage, folder, mine, version);
      } catch (error) {
        if (!isMillraceError(error, "OBJECT_CONFLICT") || attempt === maxAttempts) throw error;
      }
    }
  }

  get current(): Pointer {
    return this.#current;
  }

  /** Makes `checkpoints` the list. Rejects with FENCED when a later writer has taken over; nothing was changed then. */
  async publish(checkpoints: readonly PointerEntry[]): Promise<void> {
    await this.settleDoubt();
    const next: Pointer = { ...this.#current, checkpoints };
    this.#inDoubt = next;
    try {
      this.#version = await this.#storage.replace(`${this.#folder}${pointerName}`, encode(next), this.#version);
      this.#current = next;
      this.#inDoubt = undefined;
    } catch (error) {
      if (isMillraceError(error, "OBJECT_CONFLICT")) await this.settleDoubt();
      throw error;
    }
  }

  /** Finds out what became of a write that gave no answer. Rejects with FENCED when this writer's time is over. */
  async settleDoubt(): Promise<void> {
    if (this.#fencedBy !== undefined) throw this.#fenced(this.#fencedBy);
    if (this.#inDoubt !== undefined) await this.check();
  }

  /** Reads the pointer again. Rejects with FENCED when this writer's time is over. */
  async check(): Promise<void> {
    const now = await readPointer(this.#storage, this.#folder);
    if (now === undefined || now.pointer.writer !== this.#current.writer) {
      this.#fencedBy = now?.pointer.epoch ?? this.#current.epoch + 1;
      throw this.#fenced(this.#fencedBy);
    }
    this.#current = now.pointer;
    this.#version = now.version;
    this.#inDoubt = undefined;
  }

  #fenced(epoch: number): MillraceError {
    return new MillraceError(
      "FENCED",
      `${this.#storage.url}/${this.#folder}${pointerName}`,
      `a writer with epoch ${epoch} has taken over from epoch ${this.#current.epoch}`,
      "stop this process: another one runs the job",
    );
  }
}

function encode(pointer: Pointer): Buffer {
  return Buffer.from(`${JSON.stringify(pointer, undefined, 1)}\n`);
}
