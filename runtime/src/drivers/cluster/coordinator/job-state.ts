// All that the coordinator knows of its job, and the actions that it has decided on.
import { RestartBackoff } from "../../continuous/restart-backoff.ts";
import type { CheckpointRecord } from "../../continuous/checkpointer.ts";
import type { SliceId, SlotCommand } from "../slot-protocol.ts";
import type { PendingCheckpoint } from "./checkpoint.ts";
import { Exceptions } from "./exceptions.ts";
import type { JobGraph } from "./job-graph.ts";
import { Recoveries } from "./recoveries.ts";
import { Region, type RegionState, type Slice } from "./region.ts";
import { SlotPool } from "./slot-pool.ts";
import type {
  CoordinatorAction,
  CoordinatorOptions,
  CoordinatorStart,
  ExecutionRecord,
  Failure,
  LatestSnapshot,
  Outcome,
  SavepointIntent,
} from "./types.ts";
import type { SavepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";

const historyLength = 50;

/** A command without what every command carries. */
export type CommandBody = SlotCommand extends infer One ? (One extends SlotCommand ? Omit<One, "epoch" | "slice"> : never) : never;

export interface SavepointState {
  readonly intent: SavepointIntent;
  result?: SavepointResult;
  failure?: Failure;
}

export interface RescaleRequest {
  /** Whoever asks for the same again while it is under way gets the same answer. */
  readonly requestIds: number[];
  checkpointId: number;
  heldSinceMs: number | undefined;
}

export class JobState {
  readonly graph: JobGraph;
  readonly options: CoordinatorOptions;
  readonly random: () => number;
  readonly pool: SlotPool = new SlotPool();
  readonly regions: readonly Region[];
  readonly exceptions: Exceptions = new Exceptions();
  readonly recoveries: Recoveries = new Recoveries();
  readonly history: CheckpointRecord[] = [];
  readonly savepoints: Map<string, SavepointState> = new Map();
  /** What is to be in the storage, and what is known to be there. */
  record: ExecutionRecord;
  durable: ExecutionRecord | undefined;
  recordAsked: ExecutionRecord | undefined;
  latest: LatestSnapshot | undefined;
  pending: PendingCheckpoint | undefined;
  nextCheckpointId: number;
  checkpointDueMs: number;
  rescale: RescaleRequest | undefined;
  /** The job is to end like this; set before anything is cancelled, and written down first. */
  ending: { readonly outcome: Outcome; readonly reason?: string } | undefined;
  overTold = false;
  /** Adopted slices have told which checkpoint is under way. */
  settled = false;
  generation = 0;
  lastFailure: string | null = null;
  waitingFor: string | null = null;
  /** By TaskManager whose connection closed, until when it may come back. */
  readonly graceUntilMs: Map<string, number> = new Map();
  nowMs: number;
  /** When a TaskManager registered last. */
  registeredMs: number = Number.NEGATIVE_INFINITY;
  #actions: CoordinatorAction[] = [];

  constructor(graph: JobGraph, options: CoordinatorOptions, start: CoordinatorStart, random: () => number, nowMs: number) {
    this.graph = graph;
    this.options = options;
    this.random = random;
    this.nowMs = nowMs;
    const same = start.record?.revision === options.revision ? start.record : undefined;
    // Attempts rise over revisions too: whatever still runs of an earlier one is never taken for this one's.
    const attempts = start.record?.attempts ?? {};
    this.record = same ?? {
      format: "millrace-execution",
      formatVersion: 1,
      revision: options.revision,
      parallelism: { job: options.parallelism, vertices: options.vertexParallelism },
      attempts,
      savepoints: [],
      stopAsked: false,
      restarts: 0,
    };
    this.durable = same;
    this.latest = start.latest;
    this.nextCheckpointId = Math.max(start.nextCheckpointId, (start.latest?.checkpointId ?? 0) + 1);
    this.checkpointDueMs = nowMs + options.checkpointIntervalMs;
    for (const intent of this.record.savepoints) {
      const result = start.made.find((one) => one.id === intent.id);
      this.savepoints.set(intent.id, result === undefined ? { intent } : { intent, result });
    }
    this.regions = graph.regions.map((plan) => {
      const attempt = attempts[plan.id] ?? 0;
      const state = this.record.outcome !== undefined ? "over" : same !== undefined && attempt > 0 ? "adopting" : "waiting";
      const backoffs = {
        backoff: new RestartBackoff(options.restarts),
        losses: new RestartBackoff({ kind: "exponential", maxAttempts: Infinity, initialMs: 50, maxMs: 5000, resetAfterMs: 20_000 }),
      };
      const region = new Region(plan, state, attempt, nowMs, backoffs);
      region.everRan = state === "adopting";
      return region;
    });
  }

  move(region: Region, to: RegionState): void {
    region.move(to, this.nowMs);
    if (to === "running") {
      const recovery = this.recoveries.stepsOf(region, this.nowMs);
      this.log("info", "region running", { region: region.id, attempt: region.attempt, ...(recovery === undefined ? {} : { recovery }) });
    }
    this.recoveries.moved(region, to, this.nowMs, region.restoredId === 0 ? null : (this.latest?.url ?? null));
  }

  emit(action: CoordinatorAction): void {
    this.#actions.push(action);
  }

  takeActions(): readonly CoordinatorAction[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  log(level: "info" | "warn" | "error", message: string, fields: Readonly<Record<string, unknown>>): void {
    this.emit({ kind: "log", level, message, fields });
  }

  /** Sends once per connection; what could not be sent is tried again when the TaskManager is back. */
  send(slice: Slice, mark: string, body: CommandBody): void {
    if (slice.state === "lost" || slice.sent.has(mark) || !this.pool.isConnected(slice.taskManagerId)) return;
    slice.sent.add(mark);
    this.command(slice.taskManagerId, slice.index, slice.id, body);
  }

  command(taskManagerId: string, index: number, slice: SliceId, body: CommandBody): void {
    const slot = this.pool.slotOf(taskManagerId, index);
    if (slot === undefined) return;
    this.emit({
      kind: "send",
      taskManagerId,
      index,
      incarnation: slot.incarnation,
      command: { epoch: this.options.epoch, slice, ...body },
    });
  }

  /** Changes what is to be recorded; `isDurable` tells when it is there. */
  change(changes: Partial<ExecutionRecord>): void {
    this.record = { ...this.record, ...changes };
  }

  get isDurable(): boolean {
    return this.durable === this.record;
  }

  slices(): readonly { readonly region: Region; readonly slice: Slice }[] {
    return this.regions.flatMap((region) => [...region.slices.values()].map((slice) => ({ region, slice })));
  }

  remember(record: CheckpointRecord): void {
    this.history.push(record);
    if (this.history.length > historyLength) this.history.shift();
  }

  /** The first savepoint that was asked for and is not made. */
  get nextSavepoint(): SavepointIntent | undefined {
    return this.record.savepoints.find(({ id }) => this.savepoints.get(id)?.result === undefined);
  }
}
