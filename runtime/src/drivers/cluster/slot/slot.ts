// A slot: takes the leader's commands for its slices, in order, and refuses those of an older leader.
import type { SliceStatus, SlotCommand, SlotEvent } from "../slot-protocol.ts";
import { Slice } from "./slice.ts";
import type { SlotJob } from "./slot-job.ts";

export class Slot {
  readonly #job: SlotJob;
  readonly #emit: (event: SlotEvent) => void;
  /** By region: the latest deployment. */
  readonly #slices = new Map<string, Slice>();
  /** A region's deployments come one after another: the next one opens when the last one is closed. */
  readonly #queues = new Map<string, Promise<void>>();
  #epoch = 0;
  #closed = false;

  constructor(job: SlotJob, emit: (event: SlotEvent) => void) {
    this.#job = job;
    this.#emit = emit;
  }

  command(command: SlotCommand): void {
    if (this.#closed) return;
    if (command.epoch < this.#epoch) {
      this.#job.log.warn("a command of an older leader is refused", { kind: command.kind, epoch: command.epoch, newest: this.#epoch });
      return;
    }
    this.#epoch = command.epoch;
    const { slice } = command;
    const current = this.#slices.get(slice.region);
    if (command.kind === "deploy") {
      // The same deployment may be sent again by a leader that did not hear of it.
      if (current === undefined || current.deploy.slice.attempt < slice.attempt) this.#deploy(command, current);
      return;
    }
    if (current === undefined || current.deploy.slice.attempt !== slice.attempt) {
      // What is not there any more is closed.
      if (command.kind === "cancel") this.#emit({ slice, kind: "closed" });
      return;
    }
    this.#pass(command, current);
  }

  #deploy(command: Extract<SlotCommand, { readonly kind: "deploy" }>, before: Slice | undefined): void {
    const slice = new Slice(this.#job, command, (news) => this.#emit({ slice: command.slice, ...news }));
    this.#slices.set(command.slice.region, slice);
    this.#enqueue(command.slice.region, async () => {
      await before?.close();
      if (this.#slices.get(command.slice.region) === slice) slice.begin();
    });
  }

  #pass(command: Exclude<SlotCommand, { readonly kind: "deploy" }>, slice: Slice): void {
    switch (command.kind) {
      case "start":
        return slice.start();
      case "assign":
        return slice.assign(command.assignments);
      case "trigger":
        return slice.trigger(command.checkpointId, command.after);
      case "commit":
        return slice.commit(command.checkpointId);
      case "base":
        return slice.base(command.uid, command.subtask);
      case "cancel":
        this.#slices.delete(command.slice.region);
        this.#enqueue(command.slice.region, () => slice.close());
    }
  }

  #enqueue(region: string, work: () => Promise<void>): void {
    const before = this.#queues.get(region) ?? Promise.resolve();
    this.#queues.set(
      region,
      before.then(work).catch((error: unknown) => this.#job.log.error("a slice could not be ended", { region, reason: String(error) })),
    );
  }

  status(): readonly SliceStatus[] {
    return [...this.#slices.values()].map((slice) => slice.status());
  }

  /** Ends all slices. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const [region, slice] of this.#slices) this.#enqueue(region, () => slice.close());
    await Promise.all(this.#queues.values());
  }
}
