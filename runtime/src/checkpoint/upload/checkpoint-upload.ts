// One checkpoint's upload by one process: all its subtasks' state in one data file, and the message about it.
import { assert } from "../../base/errors.ts";
import type { OperatorStateEntry, Redistribution } from "../../core/ports/operator-state.ts";
import type { SourceSplit } from "../../core/ports/source.ts";
import type { StateCapture } from "../../core/ports/state-backend.ts";
import type { DataFileWriter } from "../format/data-file-writer.ts";
import { encodeEntries, inlineBytes } from "../format/payload.ts";
import type { AckFile, AckPayload, SubtaskAck, UploadAck } from "./ack.ts";
import type { Range, StatePart, StateSpec } from "../store/lineage.ts";
import { specIdsByTable, withSpecIds } from "./spec-ids.ts";
import type { CarriedCapture, ReadyBase, SubtaskMemory, Uploader } from "./uploader.ts";

/** What a barrier took from one instance. Instances without state need not be added. */
export interface SubtaskSnapshot {
  readonly uid: string;
  /** The operator's name in the plan: a restore refuses to give its state to another kind. */
  readonly kind: string;
  readonly subtask: number;
  readonly parallelism: number;
  /** Of a keyed operator: the key groups that the instance owns, and what `capture` returned. */
  readonly keyGroups?: Range;
  readonly keyed?: StateCapture;
  readonly lists?: readonly {
    readonly name: string;
    readonly redistribution: Redistribution;
    readonly entries: readonly OperatorStateEntry[];
  }[];
  readonly splits?: readonly { readonly split: SourceSplit; readonly watermarkMs?: number }[];
  /** What `SinkWriter.prepare` settled with. */
  readonly sinkState?: Uint8Array;
  /** The instance's event time, ms; -Infinity or absent when there is none. */
  readonly watermarkMs?: number;
}

/** A part that this upload adds; without a file it is in the upload's own. */
interface WrittenPart {
  readonly part: StatePart;
  readonly file: AckFile | undefined;
}

export class CheckpointUpload {
  readonly checkpointId: number;
  readonly #uploader: Uploader;
  /** Captures that were handed over: they are carried to the next checkpoint if this one fails. */
  readonly #captures: { readonly memory: SubtaskMemory; readonly capture: StateCapture }[] = [];
  /** Captures of earlier checkpoints that go with this one. */
  readonly #carried: CarriedCapture[] = [];
  readonly #subtasks: { readonly ack: SubtaskAck; readonly memory: SubtaskMemory; readonly parts: readonly WrittenPart[] }[] = [];
  #file: { readonly path: string; readonly writer: DataFileWriter } | undefined;
  #state: "open" | "finished" | "aborted" = "open";
  #adding = 0;

  constructor(uploader: Uploader, checkpointId: number) {
    this.#uploader = uploader;
    this.checkpointId = checkpointId;
  }

  /**
   * Writes the state of one instance; several may be under way. The capture is the upload's from here on: when this rejects, or
   * the upload is aborted, it is written with the next checkpoint, or with the same one when that is begun again.
   */
  async addSubtask(snapshot: SubtaskSnapshot): Promise<void> {
    const memory = this.#uploader.memoryOf(snapshot.uid, snapshot.subtask);
    // First of all, before anything can fail.
    const captures = this.#take(memory, snapshot.keyed);
    if (this.#state === "aborted") this.#carry();
    assert(this.#state === "open", `checkpoint ${this.checkpointId} takes subtasks until it ends`);
    this.#adding++;
    try {
      await this.#write(snapshot, memory, captures);
    } finally {
      this.#adding--;
    }
  }

  /** Completes the data file. The result is what the publisher needs; plain JSON. */
  async finish(): Promise<UploadAck> {
    assert(this.#state === "open" && this.#adding === 0, `checkpoint ${this.checkpointId} ends once, after its subtasks were added`);
    const own = await this.#finishFile();
    this.#state = "finished";
    const files = new Map<string, AckFile>(own === undefined ? [] : [[own.path, own]]);
    const subtasks = this.#subtasks.map(({ ack, memory, parts }) => {
      for (const { part, file = own } of parts) {
        assert(file !== undefined, "a part is in a file");
        memory.unconfirmed.push({ part, file });
        if (part.kind === "base" && memory.base !== undefined) memory.base.uploadedIn = this.checkpointId;
      }
      for (const { file } of memory.unconfirmed) files.set(file.path, file);
      return { ...ack, state: memory.unconfirmed.map(({ part }) => part) };
    });
    for (const carried of this.#carried) carried.uploadedIn = this.checkpointId;
    return { checkpointId: this.checkpointId, files: [...files.values()], subtasks, writtenBytes: own?.sizeBytes ?? 0 };
  }

  /** Drops the data file and keeps the captures for the next checkpoint. Does nothing once finished. */
  async abort(): Promise<void> {
    if (this.#state !== "open") return;
    this.#state = "aborted";
    this.#carry();
    this.settled();
    await this.#file?.writer.abort();
  }

  /** The checkpoint is published, or given up: its file needs no protection from the sweep any more. */
  settled(): void {
    if (this.#file !== undefined) this.#uploader.settled(this.#file.path);
  }

  // What has to be written for an instance: captures of failed checkpoints first.
  #take(memory: SubtaskMemory, capture: StateCapture | undefined): readonly StateCapture[] {
    // A checkpoint that is tried again brings its capture again, and its parts of the earlier try are void.
    memory.carried.delete(this.checkpointId);
    memory.unconfirmed = memory.unconfirmed.filter(({ part }) => part.checkpointId < this.checkpointId);
    const carried = [...memory.carried].sort(([a], [b]) => a - b).map(([, one]) => one);
    // What an earlier upload finished with is in a part that goes into this checkpoint too. A part that is void has to be written anew.
    const earlier = carried.filter(({ uploadedIn }) => uploadedIn === undefined || uploadedIn >= this.checkpointId);
    for (const one of earlier) one.uploadedIn = undefined;
    this.#carried.push(...earlier);
    const all = [...earlier.map((one) => one.capture), ...(capture === undefined ? [] : [capture])];
    for (const one of all) this.#uploader.hold(one, this.checkpointId);
    if (capture !== undefined) this.#captures.push({ memory, capture });
    return all;
  }

  #carry(): void {
    for (const { memory, capture } of this.#captures) memory.carried.set(this.checkpointId, { capture, uploadedIn: undefined });
  }

  async #write(snapshot: SubtaskSnapshot, memory: SubtaskMemory, captures: readonly StateCapture[]): Promise<void> {
    const { uid, kind, subtask, parallelism, keyGroups, watermarkMs } = snapshot;
    const base = this.#baseFor(memory);
    const parts: WrittenPart[] = [];
    const specs = withSpecIds(snapshot.keyed?.tables ?? []);
    if (keyGroups !== undefined) {
      if (base !== undefined) parts.push(await this.#writeBase(uid, base));
      const changes = await this.#writeChanges(uid, keyGroups, captures);
      if (changes !== undefined) parts.push({ part: changes, file: undefined });
    }
    const lists: SubtaskAck["lists"][number][] = [];
    for (const { name, redistribution, entries } of snapshot.lists ?? []) {
      lists.push({ name, redistribution, entryCount: entries.length, payload: await this.#writePayload(encodeEntries(entries)) });
    }
    const sink = snapshot.sinkState === undefined ? undefined : await this.#writePayload(snapshot.sinkState);
    const splits = snapshot.splits?.map(({ split, watermarkMs: splitWatermark }) => ({
      id: split.id,
      position: split.position ?? null,
      subtask,
      watermarkMs: finiteOrNull(splitWatermark),
    }));
    const ack: SubtaskAck = {
      uid,
      kind,
      subtask,
      parallelism,
      ...(keyGroups === undefined ? {} : { keyGroups }),
      ...(watermarkMs === undefined || !Number.isFinite(watermarkMs) ? {} : { watermarkMs }),
      specs: base === undefined ? specs : joinSpecs(specs, withSpecIds(base.tables)),
      state: [],
      lists,
      ...(splits === undefined ? {} : { splits }),
      ...(sink === undefined ? {} : { sink }),
    };
    this.#subtasks.push({ ack, memory, parts });
  }

  // A base goes into the first checkpoint that was taken after its scan ended; a checkpoint that is tried again takes it again.
  #baseFor({ base }: SubtaskMemory): ReadyBase | undefined {
    if (base === undefined || base.ready.endCheckpointId >= this.checkpointId) return undefined;
    return base.uploadedIn === undefined || base.uploadedIn === this.checkpointId ? base.ready : undefined;
  }

  async #writeChanges(uid: string, range: Range, captures: readonly StateCapture[]): Promise<StatePart | undefined> {
    let sizeBytes = 0;
    const specIds = new Set<string>();
    for (const { tables, blocks } of captures) {
      if (blocks.length === 0) continue;
      const byTable = specIdsByTable(withSpecIds(tables));
      for (const { table } of blocks) specIds.add(byTable.get(table) ?? "");
      sizeBytes += await this.#open().writer.addBlocks(uid, "changes", byTable, blocks);
    }
    if (specIds.size === 0) return undefined;
    return {
      path: this.#open().path,
      part: "changes",
      kind: "delta",
      checkpointId: this.checkpointId,
      ...range,
      sizeBytes,
      specIds: [...specIds],
    };
  }

  async #writeBase(uid: string, base: ReadyBase): Promise<WrittenPart> {
    const { content, range, sinceCheckpointId } = base;
    const byTable = specIdsByTable(withSpecIds(base.tables));
    const about = {
      part: "base",
      kind: "base",
      checkpointId: this.checkpointId,
      sinceCheckpointId,
      ...range,
      specIds: [...byTable.values()],
    } as const;
    if (content.kind === "file") return { part: { path: content.file.path, ...about, sizeBytes: content.sizeBytes }, file: content.file };
    const { path, writer } = this.#open();
    const sizeBytes = await writer.addBlocks(uid, "base", byTable, content.blocks);
    return { part: { path, ...about, sizeBytes }, file: undefined };
  }

  async #writePayload(bytes: Uint8Array): Promise<AckPayload> {
    if (bytes.length <= inlineBytes) return { inline: Buffer.from(bytes).toString("base64") };
    const { path, writer } = this.#open();
    return { path, ...(await writer.addPayload(bytes)) };
  }

  #open(): { readonly path: string; readonly writer: DataFileWriter } {
    this.#file ??= this.#uploader.openDataFile(this.checkpointId);
    return this.#file;
  }

  async #finishFile(): Promise<AckFile | undefined> {
    if (this.#file === undefined) return undefined;
    const { path, writer } = this.#file;
    return { path, ...(await writer.finish()) };
  }
}

function finiteOrNull(value: number | undefined): number | null {
  return value !== undefined && Number.isFinite(value) ? value : null;
}

function joinSpecs(a: readonly StateSpec[], b: readonly StateSpec[]): readonly StateSpec[] {
  return [...new Map([...b, ...a].map((spec) => [spec.id, spec])).values()];
}
