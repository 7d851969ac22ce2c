// A process's part of checkpoints: writes its subtasks' state to one data file each time, and remembers what is not yet published.
import { randomBytes } from "node:crypto";
import { MillraceError } from "../../base/errors.ts";
import type { SnapshotStorage } from "../../core/ports/snapshot-storage.ts";
import { blockSizeBytes, type StateBlock, type StateCapture, type StoredTableSpec } from "../../core/ports/state-backend.ts";
import type { Compression } from "../format/data-file.ts";
import { DataFileWriter } from "../format/data-file-writer.ts";
import type { AckFile } from "./ack.ts";
import { type BaseAbout, BaseUpload } from "./base-upload.ts";
import { CheckpointUpload } from "./checkpoint-upload.ts";
import type { Range, StatePart } from "../store/lineage.ts";

export interface UploaderOptions {
  readonly storage: SnapshotStorage;
  /** The job's folder below the storage's root, with a slash at its end. */
  readonly folder: string;
  readonly compression: Compression;
  /** A base up to this many bytes goes into the next checkpoint's file instead of one of its own. */
  readonly smallBaseBytes: number;
  /** How many bytes of captures whose upload failed are kept to be written with the next checkpoint. */
  readonly maxCarriedBytes: number;
  /** Names data files, relative to the folder. Default: `data/<epoch>-<checkpoint>-<random>.mst`. */
  readonly nameFile?: () => string;
}

/** A base that is complete and goes into the next checkpoint taken after `endCheckpointId`. */
export interface ReadyBase {
  readonly sinceCheckpointId: number;
  readonly endCheckpointId: number;
  readonly range: Range;
  readonly tables: readonly StoredTableSpec[];
  readonly content:
    | { readonly kind: "blocks"; readonly blocks: readonly StateBlock[] }
    | { readonly kind: "file"; readonly file: AckFile; readonly sizeBytes: number };
}

/** A capture that goes with a later checkpoint; it is kept until one that has it is published. */
export interface CarriedCapture {
  readonly capture: StateCapture;
  /** The checkpoint whose finished upload has it. */
  uploadedIn: number | undefined;
}

/** What the uploader knows of one instance between checkpoints. */
export interface SubtaskMemory {
  /** Captures whose upload failed, by checkpoint: nobody can take them again. */
  readonly carried: Map<number, CarriedCapture>;
  /** Parts that are uploaded and in no published checkpoint yet. */
  unconfirmed: { readonly part: StatePart; readonly file: AckFile }[];
  /** A complete base, and the last upload that holds it; it is kept until that is published. */
  base: { readonly ready: ReadyBase; uploadedIn: number | undefined } | undefined;
}

export class Uploader {
  readonly #options: UploaderOptions;
  readonly #memory = new Map<string, SubtaskMemory>();
  /** Files that are being written, or wait to be published with a checkpoint. */
  readonly #live = new Set<string>();
  /** Captures that take disk, by the newest checkpoint that was to have them: one that is tried again brings them again. */
  readonly #held = new Map<StateCapture, number>();
  #epoch = 0;

  constructor(options: UploaderOptions) {
    this.#options = options;
  }

  /** The epoch that names this process's files. */
  setEpoch(epoch: number): void {
    this.#epoch = epoch;
  }

  /** Begins the upload of a checkpoint. Throws CHECKPOINT_BACKLOG when too much is left over from failed ones. */
  begin(checkpointId: number): CheckpointUpload {
    const carriedBytes = [...this.#memory.values()]
      .flatMap(({ carried }) => [...carried.values()])
      .reduce((sum, { capture }) => sum + captureBytes(capture), 0);
    if (carriedBytes > this.#options.maxCarriedBytes) {
      throw new MillraceError(
        "CHECKPOINT_BACKLOG",
        `checkpoint ${checkpointId}`,
        `${carriedBytes} bytes of earlier checkpoints could not be written`,
        "mend the snapshot storage; the job restarts from its last complete checkpoint",
      );
    }
    return new CheckpointUpload(this, checkpointId);
  }

  /** Begins the upload of a base for one instance. */
  startBase(about: BaseAbout): BaseUpload {
    return new BaseUpload(this, about);
  }

  /** Checkpoint `checkpointId` is published: what it holds needs no more remembering. */
  confirm(checkpointId: number): void {
    for (const memory of this.#memory.values()) {
      memory.unconfirmed = memory.unconfirmed.filter(({ part }) => part.checkpointId > checkpointId);
      for (const [id, { uploadedIn }] of memory.carried) {
        if (uploadedIn !== undefined && uploadedIn <= checkpointId) memory.carried.delete(id);
      }
      if (memory.base?.uploadedIn !== undefined && memory.base.uploadedIn <= checkpointId) memory.base = undefined;
    }
    for (const [capture, of] of this.#held) if (of <= checkpointId) this.#release(capture);
  }

  /** The capture is part of checkpoint `checkpointId`; it is released when that is published, or forgotten. */
  hold(capture: StateCapture, checkpointId: number): void {
    if (capture.release !== undefined) this.#held.set(capture, checkpointId);
  }

  #release(capture: StateCapture): void {
    this.#held.delete(capture);
    capture.release?.();
  }

  /** Forgets everything: the job restarts from a snapshot. */
  reset(): void {
    this.#memory.clear();
    for (const capture of this.#held.keys()) this.#release(capture);
  }

  /** Data files that are uploaded and not in a published checkpoint, and must not be swept. */
  unconfirmedPaths(): readonly string[] {
    const remembered = [...this.#memory.values()].flatMap(({ unconfirmed, base }) => [
      ...unconfirmed.map(({ file }) => file.path),
      ...(base?.ready.content.kind === "file" ? [base.ready.content.file.path] : []),
    ]);
    return [...remembered, ...this.#live];
  }

  /** A file that was opened is published, remembered elsewhere or given up. */
  settled(path: string): void {
    this.#live.delete(path);
  }

  get smallBaseBytes(): number {
    return this.#options.smallBaseBytes;
  }

  memoryOf(uid: string, subtask: number): SubtaskMemory {
    const key = `${subtask} ${uid}`;
    let memory = this.#memory.get(key);
    if (memory === undefined) {
      memory = { carried: new Map(), unconfirmed: [], base: undefined };
      this.#memory.set(key, memory);
    }
    return memory;
  }

  /** Opens a data file under a name that no other process or attempt uses. */
  openDataFile(checkpointId: number): { readonly path: string; readonly writer: DataFileWriter } {
    const path = this.#options.nameFile?.() ?? `data/${dataFileName(this.#epoch, checkpointId)}`;
    this.#live.add(path);
    const target = this.#options.storage.openWriter(`${this.#options.folder}${path}`);
    return { path, writer: new DataFileWriter(target, this.#options.compression) };
  }
}

/** `<epoch>-<checkpoint>-<random>.mst`: the random part keeps attempts apart. */
export function dataFileName(epoch: number, checkpointId: number): string {
  return `${epoch}-${checkpointId}-${randomBytes(8).toString("hex")}.mst`;
}

export function captureBytes(capture: StateCapture): number {
  return capture.blocks.reduce((sum, block) => sum + blockSizeBytes(block), 0);
}
