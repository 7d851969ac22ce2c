// Checkpoints of a task: the barrier goes from the sources through the instances, each is captured when it has come by all channels, or at once where it must not wait.
import { assert } from "../../base/errors.ts";
import { frameCredit } from "../exchange/frame/frame-reader.ts";
import type { InboundChannel } from "../exchange/inbound-channel.ts";
import type { Barrier } from "./barrier.ts";
import type { TaskCapture } from "./captures.ts";
import { Cut, type CutTimes } from "./cut.ts";
import type { ReplayEntry, SourceEntry } from "./entries.ts";
import type { OperatorSlot, Task } from "./task.ts";
import type { SinkInstance } from "./sink-instance.ts";
import type { Way } from "./way.ts";

/** A checkpoint of which a task's part is complete. */
export interface CompleteCut {
  readonly checkpointId: number;
  readonly capture: TaskCapture;
  readonly times: CutTimes;
}

export class Cuts {
  /** Called when every instance is captured, and of an unaligned one every barrier has come. */
  onComplete: (cut: CompleteCut) => void = () => {};
  readonly #task: Task;
  #current: Cut | undefined;
  #last: Barrier | undefined;
  /** Instances that a drain's barrier waits for because something is under way in them. */
  #draining: { readonly slot: OperatorSlot; readonly barrier: Barrier }[] = [];

  constructor(task: Task) {
    this.#task = task;
  }

  get current(): Cut | undefined {
    return this.#current;
  }

  /** The barrier of the checkpoint under way, or of the last one. */
  get last(): Barrier | undefined {
    return this.#last;
  }

  /** The task hears of a checkpoint for the first time, by a trigger or a barrier from another slot. Does nothing the second time. */
  begin(barrier: Barrier): Cut | undefined {
    if (this.#current !== undefined || barrier.checkpointId <= (this.#last?.checkpointId ?? 0)) return this.#current;
    const { sourceEntries, operators, sinks, ways } = this.#task;
    this.#last = barrier;
    this.#current = new Cut(barrier, { sources: sourceEntries.length, operators: operators.length, sinks: sinks.length });
    for (const way of ways) way.beginCut();
    // A task without any instance has nothing to wait for.
    this.#checkComplete();
    return this.#current;
  }

  /** The sources emit the barrier. Where rows of a snapshot are not all back on their way, it overtakes them. */
  trigger(barrier: Barrier): void {
    const cut = this.begin(barrier);
    if (cut?.checkpointId !== barrier.checkpointId) return;
    if (this.#task.isReplaying) return this.overtake();
    for (const [index, entry] of this.#task.sourceEntries.entries())
      if (cut.sources[index] === undefined) this.#captureSource(cut, index, entry);
    this.#checkComplete();
  }

  /** True when the instance belongs to a later epoch than the sink of dead letters, which is captured last. */
  isAhead(captured: number): boolean {
    return this.#current !== undefined && this.#current.missing > 0 && captured === this.#current.checkpointId;
  }

  /** The barrier has come to an operator by all channels. */
  operatorAligned(slot: OperatorSlot, barrier: Barrier): void {
    if (barrier.drain && slot.instance.operator.busy?.() === true) this.#draining.push({ slot, barrier });
    else this.#captureOperator(slot, barrier);
    this.#checkComplete();
  }

  sinkAligned(sink: SinkInstance, barrier: Barrier): void {
    this.#captureSink(sink, barrier);
    this.#checkComplete();
  }

  /** Lets a drain's barrier through instances that have finished what they had under way; called between batches. */
  passDrained(): void {
    if (this.#draining.length === 0) return;
    const waiting = this.#draining;
    this.#draining = [];
    for (const { slot, barrier } of waiting) this.operatorAligned(slot, barrier);
  }

  /** The checkpoint waits for barriers no longer: everything is captured now, and rows on their way become part of it. */
  overtake(): void {
    const cut = this.#current;
    if (cut === undefined || cut.unaligned || cut.barrier.drain) return;
    cut.unaligned = true;
    // They come before what waits in channels.
    for (const entry of this.#task.replayEntries) if (!entry.isOver) this.#recordReplay(cut, entry);
    for (const entry of this.#task.inboundEntries) {
      for (const channel of entry.channels) {
        for (const frame of channel.overtake(cut.checkpointId)) this.#record(cut, entry, channel, frame);
        if (channel.recordingFor === cut.checkpointId) cut.openChannels++;
      }
    }
    for (const [index, entry] of this.#task.sourceEntries.entries())
      if (cut.sources[index] === undefined) this.#captureSource(cut, index, entry);
    // In the order of the plan, so that whatever an instance gives out at last is taken by the next one before its own capture.
    for (const [index, slot] of this.#task.operators.entries())
      if (cut.operators[index] === undefined) this.#captureOperator(slot, cut.barrier);
    for (const [index, sink] of this.#task.sinks.entries()) if (cut.sinks[index] === undefined) this.#captureSink(sink, cut.barrier);
    this.#checkComplete();
  }

  /** Rows have come by a channel: an unaligned checkpoint takes them in until the channel's barrier comes. */
  rowsCame(channel: InboundChannel, frame: ArrayBuffer): void {
    const cut = this.#current;
    if (cut === undefined || channel.recordingFor !== cut.checkpointId || frameCredit(frame) === 0) return;
    const entry = this.#task.inboundEntries.find((one) => one.channels.includes(channel));
    if (entry !== undefined) this.#record(cut, entry, channel, frame);
  }

  /** A barrier has come by a channel from another slot. */
  barrierCame(channel: InboundChannel, barrier: Barrier): void {
    const cut = this.begin(barrier);
    channel.barrierId = barrier.checkpointId;
    if (cut === undefined || channel.recordingFor !== cut.checkpointId) {
      channel.pushBarrier(barrier);
      return;
    }
    channel.recordingFor = 0;
    cut.openChannels--;
    this.#checkComplete();
  }

  #record(
    cut: Cut,
    entry: { readonly uid: string; readonly subtask: number; readonly parallelism: number },
    channel: InboundChannel,
    frame: ArrayBuffer,
  ): void {
    const { uid, subtask, parallelism } = entry;
    const { input, reader } = channel;
    cut.addInFlight(uid, subtask, {
      input,
      subtask,
      parallelism,
      schema: reader.rows.schema,
      fields: reader.fields,
      frame: frame.slice(0),
    });
  }

  #recordReplay(cut: Cut, entry: ReplayEntry): void {
    const { uid, subtask, barriers } = entry.receiver;
    // Nothing comes to an instance before its replay is over, so no barrier has.
    assert(barriers.captured < cut.checkpointId, `${uid} is captured after its replay`);
    for (const rows of entry.remaining()) cut.addInFlight(uid, subtask, rows);
  }

  #captureSource(cut: Cut, index: number, entry: SourceEntry): void {
    const { source } = entry;
    const startedMs = performance.now();
    cut.sources[index] = {
      uid: source.uid,
      subtask: source.subtask,
      splits: source.reader.snapshot(),
      splitWatermarks: source.splitWatermarks(),
      finished: [...source.finished],
    };
    source.captured = cut.checkpointId;
    cut.cutMs += performance.now() - startedMs;
    cut.count();
    entry.emitBarrier(cut.barrier);
  }

  #captureOperator(slot: OperatorSlot, barrier: Barrier): void {
    const cut = this.#cutOf(barrier);
    const { instance, backend, lists, keyGroups, parallelism } = slot;
    const startedMs = performance.now();
    instance.operator.prepareSnapshot?.();
    instance.barriers.captured = cut.checkpointId;
    cut.operators[this.#task.operators.indexOf(slot)] = {
      uid: instance.uid,
      subtask: instance.subtask,
      parallelism,
      keyGroups,
      keyed: backend?.capture(),
      lists: lists.capture(),
      watermarkMs: instance.watermarkMs,
    };
    cut.cutMs += performance.now() - startedMs;
    cut.count();
    instance.passBarrier(barrier);
    this.#release(instance.ways);
  }

  #captureSink(sink: SinkInstance, barrier: Barrier): void {
    const cut = this.#cutOf(barrier);
    const { uid, subtask, parallelism } = sink;
    const startedMs = performance.now();
    sink.barriers.captured = cut.checkpointId;
    cut.sinks[this.#task.sinks.indexOf(sink)] = {
      uid,
      subtask,
      parallelism,
      prepared: owned(sink.writer.prepare(cut.checkpointId)),
      lists: [],
    };
    cut.cutMs += performance.now() - startedMs;
    cut.count();
    this.#release(sink.ways);
  }

  #cutOf(barrier: Barrier): Cut {
    const cut = this.#current;
    if (cut?.checkpointId !== barrier.checkpointId) throw new Error(`the barrier of checkpoint ${barrier.checkpointId} came outside of it`);
    return cut;
  }

  #release(ways: readonly Way[]): void {
    for (const way of ways) if (way.captured()) this.#task.released(way);
  }

  #checkComplete(): void {
    const cut = this.#current;
    if (cut === undefined || cut.missing > this.#task.letterSinks.length) return;
    // Every instance may give dead letters, so their sink comes after all of them.
    for (const sink of this.#task.letterSinks) {
      if (sink.barriers.captured === cut.checkpointId) continue;
      this.#task.badRows.flush();
      this.#captureSink(sink, cut.barrier);
    }
    this.#task.badRows.releaseHeld();
    if (!cut.isComplete) return;
    this.#current = undefined;
    this.onComplete({ checkpointId: cut.checkpointId, capture: cut.capture(), times: cut.times() });
  }
}

// A rejection is handled by whoever awaits the capture; this keeps it from counting as unhandled until then.
function owned<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
