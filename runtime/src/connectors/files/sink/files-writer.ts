// The writer of one sink instance: open files by partition, ended files by checkpoint, and their commit.
import { randomBytes } from "node:crypto";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import { Signal } from "../../../base/signal.ts";
import type { Batch } from "../../../core/batch/batch.ts";
import type { SinkContext, SinkWriter } from "../../../core/ports/sink.ts";
import { publishBatch } from "./batch-manifest.ts";
import type { OutputStore, PendingFile } from "./output-store.ts";
import { type Backlog, PartFile } from "./part-file.ts";
import { partName } from "./part-name.ts";
import type { PartitionOf } from "./partition-path.ts";
import type { RowEncoder } from "./row-encoder.ts";
import { fileEnding, type FilesSinkConfig } from "./sink-options.ts";

/** Above so many bytes on their way to the disk or server, `ready` asks for patience. */
const backlogLimitBytes = 32 << 20;
/** What all open files may hold in memory together, row groups that are not full and parts of uploads: the sink's share, within these. */
const heldLimits = { least: 16 << 20, most: 128 << 20 };

/** Files that were ended in an epoch, by the checkpoint that closed it. */
interface Epoch {
  readonly checkpointId: number;
  readonly files: readonly PendingFile[];
}

export class FilesWriter implements SinkWriter {
  readonly #config: FilesSinkConfig;
  readonly #context: SinkContext;
  readonly #store: OutputStore;
  readonly #partitionOf: PartitionOf;
  readonly #newEncoder: () => RowEncoder;
  readonly #run: string = randomBytes(4).toString("hex");
  /** By partition, in the order they were begun. */
  readonly #open = new Map<string, PartFile>();
  /** Files that were ended since the last checkpoint. */
  #ending: Promise<PendingFile>[] = [];
  /** Files that are being ended: `close` waits for them. */
  readonly #unsettled = new Set<Promise<unknown>>();
  /** Prepared and not committed: a later commit covers what an earlier one did not. */
  #epochs: Epoch[] = [];
  #afterCheckpoint: number;
  #number = 0;
  #backlogBytes = 0;
  readonly #drained = new Signal();
  readonly #heldLimitBytes: number;
  #failure: Error | undefined;
  #closed = false;

  constructor(config: FilesSinkConfig, context: SinkContext, store: OutputStore, partitionOf: PartitionOf, newEncoder: () => RowEncoder) {
    this.#config = config;
    this.#context = context;
    this.#store = store;
    this.#partitionOf = partitionOf;
    this.#newEncoder = newEncoder;
    this.#afterCheckpoint = context.restored?.checkpointId ?? 0;
    this.#heldLimitBytes = Math.max(heldLimits.least, Math.min(heldLimits.most, context.bufferBytes ?? heldLimits.most));
  }

  readonly #backlog: Backlog = {
    add: (bytes) => {
      this.#backlogBytes += bytes;
    },
    remove: (bytes) => {
      this.#backlogBytes -= bytes;
      if (this.#backlogBytes <= backlogLimitBytes) this.#drained.notify();
    },
    fail: (error) => {
      this.#failure ??=
        error instanceof Error
          ? error
          : new MillraceError("FILES_WRITE_FAILED", this.#config.location.text, messageOf(error), "see the log");
      this.#drained.notify();
    },
  };

  #check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  write(batch: Batch): void {
    this.#check();
    const { rows, selection, count } = batch;
    const { maxFileBytes, maxFileRows } = this.#config;
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const partition = this.#partitionOf(rows, row);
      const part = this.#open.get(partition) ?? this.#begin(partition);
      part.add(rows, row);
      if (part.sizeBytes >= maxFileBytes || part.rowCount >= maxFileRows) this.#end(partition, part);
    }
    this.#endAged();
    this.#endLargest();
  }

  // Many open files, each with a part of a row group or of an upload, would take more memory than any of their limits says.
  #endLargest(): void {
    let held = 0;
    for (const part of this.#open.values()) held += part.heldBytes;
    if (held <= this.#heldLimitBytes) return;
    const byHeld = [...this.#open].sort(([, a], [, b]) => b.heldBytes - a.heldBytes);
    for (const [partition, part] of byHeld) {
      if (held <= this.#heldLimitBytes / 2) return;
      held -= part.heldBytes;
      this.#end(partition, part);
    }
  }

  #begin(partition: string): PartFile {
    if (this.#open.size >= this.#config.maxOpenFiles) {
      const [oldest] = this.#open;
      if (oldest !== undefined) this.#end(oldest[0], oldest[1]);
    }
    const { jobName, uid, subtask, clock } = this.#context;
    const name = partName({
      jobName,
      uid,
      subtask,
      afterCheckpoint: this.#afterCheckpoint,
      number: this.#number++,
      run: this.#run,
      ending: fileEnding(this.#config),
    });
    const file = this.#store.create(partition === "" ? name : `${partition}/${name}`);
    const compression = this.#config.format === "parquet" ? "none" : this.#config.compression;
    const part = new PartFile(file, this.#newEncoder(), compression, this.#backlog, clock.now());
    this.#open.set(partition, part);
    return part;
  }

  #end(partition: string, part: PartFile): void {
    this.#open.delete(partition);
    const ending = this.#finish(part);
    this.#ending.push(ending);
    // Awaited by the next checkpoint; a failure before that is found by `#check`.
    const settled = ending.catch((error: unknown) => this.#backlog.fail(error)).finally(() => this.#unsettled.delete(settled));
    this.#unsettled.add(settled);
  }

  async #finish(part: PartFile): Promise<PendingFile> {
    const file = await part.finish();
    // At-least-once: a file is seen as soon as it is whole.
    if (this.#config.delivery === "at-least-once") await this.#store.commit([file]);
    return file;
  }

  #endAged(): void {
    const { maxFileAgeMs } = this.#config;
    if (maxFileAgeMs === Number.POSITIVE_INFINITY) return;
    const nowMs = this.#context.clock.now();
    for (const [partition, part] of this.#open) if (nowMs - part.openedMs >= maxFileAgeMs) this.#end(partition, part);
  }

  ready(): Promise<void> | undefined {
    this.#check();
    return this.#backlogBytes > backlogLimitBytes ? this.#room() : undefined;
  }

  async #room(): Promise<void> {
    while (this.#backlogBytes > backlogLimitBytes && this.#failure === undefined) await this.#drained.next();
  }

  /** Ends files that are old enough. Others stay invisible, so small pieces of them would help nobody, and compress badly. */
  async flush(): Promise<void> {
    this.#check();
    this.#endAged();
    await Promise.all([...this.#open.values()].map((part) => part.settled()));
    this.#check();
  }

  async prepare(checkpointId: number): Promise<Uint8Array> {
    this.#check();
    for (const [partition, part] of this.#open) this.#end(partition, part);
    const ending = this.#ending;
    this.#ending = [];
    this.#afterCheckpoint = checkpointId;
    const files = await Promise.all(ending);
    this.#check();
    if (this.#config.delivery === "at-least-once") return new Uint8Array();
    this.#epochs.push({ checkpointId, files });
    return writeState(this.#epochs.flatMap((epoch) => epoch.files));
  }

  async commit(checkpointId: number): Promise<void> {
    const due = this.#epochs.filter((epoch) => epoch.checkpointId <= checkpointId);
    const files = due.flatMap((epoch) => epoch.files);
    await this.#store.commit(files);
    if (this.#config.manifest) await publishBatch(this.#store, this.#config.location, { ...this.#context, checkpointId }, files);
    this.#epochs = this.#epochs.filter((epoch) => epoch.checkpointId > checkpointId);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    const parts = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(parts.map((part) => part.abort()));
    // Files that were ended but not prepared are leftovers, which the next run removes.
    await Promise.all(this.#unsettled);
    await this.#store.close();
  }
}

const stateVersion = 1;

function writeState(files: readonly PendingFile[]): Uint8Array {
  return Buffer.from(JSON.stringify({ version: stateVersion, files }));
}

/** The files that a checkpoint's state lists. Throws SINK_STATE_CORRUPT for anything else. */
export function readState(state: Uint8Array): readonly PendingFile[] {
  // An at-least-once writer has nothing to commit and stores nothing.
  if (state.length === 0) return [];
  try {
    const { version, files } = JSON.parse(Buffer.from(state).toString()) as { readonly version: unknown; readonly files: unknown };
    if (version === stateVersion && Array.isArray(files)) return files as readonly PendingFile[];
  } catch (cause) {
    throw stateCorrupt(cause);
  }
  throw stateCorrupt();
}

function stateCorrupt(cause?: unknown): MillraceError {
  return new MillraceError("SINK_STATE_CORRUPT", "files sink", "the restored state is not readable", "restore from another snapshot", {
    cause,
  });
}
