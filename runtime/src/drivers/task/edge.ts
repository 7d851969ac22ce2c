// Edges between operator instances: a call each, so nothing is queued here and nothing can overtake. What stands for an instance elsewhere is called alike.
import { Batch } from "../../core/batch/batch.ts";
import type { Output } from "../../core/batch/rows-builder.ts";
import { KeyReader, keyGroupOf } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import { ownerOfKeyGroup } from "../../plan/key-groups.ts";
import type { Barrier } from "./barrier.ts";

/** The receiving side of an instance. */
export interface Receiver {
  receive(batch: Batch, input: number): void;
  receiveWatermark(timeMs: number, channel: number): void;
  receiveIdle(channel: number): void;
  receiveActive(channel: number): void;
  receiveBarrier(barrier: Barrier, channel: number): void;
}

/** One consumer of an output: where its rows go, and who hears of its time. */
export interface Edge extends Output {
  /** Whom it may call. */
  readonly receivers: readonly Receiver[];
  watermark(timeMs: number): void;
  /** No rows for a while: nobody waits for this output's time. */
  idle(): void;
  /** The end of idleness. It reaches everybody before the first watermark that follows it, so that none of them goes ahead alone. */
  active(): void;
  /** Everything before belongs to the checkpoint, everything after does not. */
  barrier(barrier: Barrier): void;
}

/** To one instance. */
export class ForwardEdge implements Edge {
  readonly #target: Receiver;
  readonly #input: number;
  readonly #channel: number;

  constructor(target: Receiver, input: number, channel: number) {
    this.#target = target;
    this.#input = input;
    this.#channel = channel;
  }

  emit(batch: Batch): void {
    this.#target.receive(batch, this.#input);
  }

  watermark(timeMs: number): void {
    this.#target.receiveWatermark(timeMs, this.#channel);
  }

  idle(): void {
    this.#target.receiveIdle(this.#channel);
  }

  active(): void {
    this.#target.receiveActive(this.#channel);
  }

  barrier(barrier: Barrier): void {
    this.#target.receiveBarrier(barrier, this.#channel);
  }

  get receivers(): readonly Receiver[] {
    return [this.#target];
  }
}

abstract class SpreadingEdge implements Edge {
  protected readonly targets: readonly Receiver[];
  protected readonly input: number;
  readonly #channel: number;

  constructor(targets: readonly Receiver[], input: number, channel: number) {
    this.targets = targets;
    this.input = input;
    this.#channel = channel;
  }

  abstract emit(batch: Batch): void;

  watermark(timeMs: number): void {
    for (const target of this.targets) target.receiveWatermark(timeMs, this.#channel);
  }

  idle(): void {
    for (const target of this.targets) target.receiveIdle(this.#channel);
  }

  active(): void {
    for (const target of this.targets) target.receiveActive(this.#channel);
  }

  barrier(barrier: Barrier): void {
    for (const target of this.targets) target.receiveBarrier(barrier, this.#channel);
  }

  get receivers(): readonly Receiver[] {
    return this.targets;
  }
}

/** Each row to the instance that owns its key group. A batch becomes one narrower selection per instance; no row is copied. */
export class HashEdge extends SpreadingEdge {
  readonly #reader: KeyReader;
  readonly #ownerOfGroup: Uint16Array;
  readonly #maxParallelism: number;
  #selections: Int32Array[];
  readonly #counts: Int32Array;
  readonly #batches: Batch[] = [];

  constructor(targets: readonly Receiver[], input: number, channel: number, key: KeyLayout, maxParallelism: number) {
    super(targets, input, channel);
    this.#reader = new KeyReader(key);
    this.#maxParallelism = maxParallelism;
    this.#ownerOfGroup = Uint16Array.from({ length: maxParallelism }, (_, group) => ownerOfKeyGroup(group, targets.length, maxParallelism));
    this.#selections = targets.map(() => new Int32Array(0));
    this.#counts = new Int32Array(targets.length);
  }

  emit(batch: Batch): void {
    const { selection, count } = batch;
    if ((this.#selections[0] as Int32Array).length < count) this.#selections = this.targets.map(() => new Int32Array(count * 2));
    const { hashes } = this.#reader.read(batch);
    const owners = this.#ownerOfGroup;
    const counts = this.#counts.fill(0);
    for (let k = 0; k < count; k++) {
      const owner = owners[keyGroupOf(hashes[k] as number, this.#maxParallelism)] as number;
      const at = counts[owner] as number;
      (this.#selections[owner] as Int32Array)[at] = selection[k] as number;
      counts[owner] = at + 1;
    }
    for (let owner = 0; owner < this.targets.length; owner++) {
      const selected = counts[owner] as number;
      if (selected === 0) continue;
      this.#batches[owner] ??= new Batch(batch.rows);
      (this.targets[owner] as Receiver).receive(
        (this.#batches[owner] as Batch).set(batch.rows, this.#selections[owner] as Int32Array, selected),
        this.input,
      );
    }
  }
}

/** Batches to the instances in turn. */
export class RebalanceEdge extends SpreadingEdge {
  #next = 0;

  emit(batch: Batch): void {
    (this.targets[this.#next] as Receiver).receive(batch, this.input);
    this.#next = (this.#next + 1) % this.targets.length;
  }
}

/** Every batch to every instance. */
export class BroadcastEdge extends SpreadingEdge {
  emit(batch: Batch): void {
    for (const target of this.targets) target.receive(batch, this.input);
  }
}

/** An output with all of its consumers. */
export class Fan implements Edge {
  readonly #edges: Edge[] = [];

  add(edge: Edge): void {
    this.#edges.push(edge);
  }

  /** True when nobody consumes it. */
  get isEmpty(): boolean {
    return this.#edges.length === 0;
  }

  emit(batch: Batch): void {
    for (const edge of this.#edges) edge.emit(batch);
  }

  watermark(timeMs: number): void {
    for (const edge of this.#edges) edge.watermark(timeMs);
  }

  idle(): void {
    for (const edge of this.#edges) edge.idle();
  }

  active(): void {
    for (const edge of this.#edges) edge.active();
  }

  barrier(barrier: Barrier): void {
    for (const edge of this.#edges) edge.barrier(barrier);
  }

  get receivers(): readonly Receiver[] {
    return this.#edges.flatMap((edge) => edge.receivers);
  }
}
