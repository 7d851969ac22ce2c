// A job over several slots in one thread, with the least of a leader that it needs: deploys, hands out splits, takes checkpoints, restores.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { CheckpointStore, type SnapshotRef } from "../../../checkpoint/store/checkpoint-store.ts";
import type { SourceRecord } from "../../../checkpoint/store/operator-record.ts";
import type { Restored } from "../../../checkpoint/store/restored.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import type { SplitEnumerator } from "../../../core/ports/source.ts";
import type { StateBackendFactory } from "../../../core/ports/state-backend.ts";
import type { Sink } from "../../../core/ports/sink.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";
import { planFingerprint, planOf } from "../../../plan/plan.ts";
import { entryMerging } from "../../../state/entry-merging.ts";
import { memoryBackend } from "../../../state/memory/memory-backend.ts";
import { defaultExchange, type ExchangeOptions } from "../../exchange/exchange.ts";
import { Reception } from "../../exchange/handshake.ts";
import { MemoryNetwork, promptScheduler, type Scheduler } from "../../exchange/wire/memory-wire.ts";
import { TcpTransport } from "../../exchange/wire/tcp-wire.ts";
import type { Transport } from "../../exchange/wire/wire.ts";
import { parallelismOf } from "../../task/placement.ts";
import { deadLetterUid } from "../../task/task-parts.ts";
import { taskRestore } from "../slot/open-restore.ts";
import { Slot } from "../slot/slot.ts";
import type { OpenSlot } from "../slot-runner.ts";
import type { SliceId, SliceStatus, SlotAddress, SlotCommand, SlotEvent, SplitAssignment, VertexPlacement } from "../slot-protocol.ts";

export interface TestClusterOptions {
  readonly dataflow: Dataflow;
  readonly parallelism: number;
  readonly slots: number;
  readonly storage: SnapshotStorage;
  readonly directory: string;
  readonly maxParallelism?: number;
  readonly stateBackend?: StateBackendFactory;
  readonly clock?: Clock;
  readonly transport?: "memory" | "tcp";
  /** Starts slots as threads; `storage` is then the one that they are configured with. */
  readonly openSlot?: OpenSlot;
  readonly scheduler?: Scheduler;
  readonly exchange?: Partial<ExchangeOptions>;
  readonly alignmentTimeoutMs?: number;
  readonly restore?: SnapshotRef;
  readonly deadLetterSink?: Sink;
  /** Starts the slots one by one, and calls this in between. Default all at once. */
  readonly betweenStarts?: () => Promise<void>;
  /** Hears of everything that slots tell. */
  readonly onEvent?: (event: SlotEvent) => void;
}

export type Acknowledged = Extract<SlotEvent, { readonly kind: "acknowledged" }>;

export interface TestCheckpoint {
  readonly ref: SnapshotRef;
  readonly checkpointId: number;
  readonly acks: readonly Acknowledged[];
}

/** A slot as the leader sees it, in this thread or in another. */
interface Handle {
  command(command: SlotCommand): void;
  status(): Promise<readonly SliceStatus[]>;
  close(): Promise<void>;
}

interface Source {
  readonly enumerator: SplitEnumerator;
  readonly known: Set<string>;
}

interface Wait {
  readonly until: () => boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

export class TestCluster {
  readonly events: SlotEvent[] = [];
  readonly slots: Handle[] = [];
  readonly network: MemoryNetwork;
  readonly #options: TestClusterOptions;
  readonly #store: CheckpointStore;
  readonly #clock: Clock;
  readonly #sources = new Map<string, Source>();
  readonly #transports: TcpTransport[] = [];
  readonly #addresses: SlotAddress[] = [];
  readonly #vertices: VertexPlacement[];
  #waits: Wait[] = [];
  #nextId = 1;
  #epoch = 0;
  #restored: Restored | undefined;
  #failure: Error | undefined;
  #alive: NodeJS.Timeout;

  private constructor(options: TestClusterOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.network = new MemoryNetwork(options.scheduler ?? promptScheduler);
    const { dataflow, storage, maxParallelism = 32 } = options;
    this.#store = CheckpointStore.open({
      storage,
      jobName: dataflow.name,
      jobId: dataflow.name,
      maxParallelism,
      planFingerprint: planFingerprint(planOf(dataflow)),
      retention: { count: 100 },
      merging: entryMerging,
      clock: systemClock,
      log: silentLog,
    });
    this.#vertices = this.#place();
    // Timers of a job do not keep a process alive.
    this.#alive = setInterval(() => {}, 60_000);
  }

  /** Runs the job from its start, or from a snapshot. */
  static async start(options: TestClusterOptions): Promise<TestCluster> {
    const cluster = new TestCluster(options);
    try {
      await cluster.#deploy();
      return cluster;
    } catch (error) {
      await cluster.close();
      throw error;
    }
  }

  #place(): VertexPlacement[] {
    const { dataflow, parallelism, slots, maxParallelism = 32, deadLetterSink } = this.#options;
    const place = (uid: string, count: number): VertexPlacement => ({
      uid,
      parallelism: count,
      slots: Array.from({ length: count }, (_, subtask) => subtask % slots),
    });
    const vertices = dataflow.nodes.map((node) => place(node.uid, parallelismOf(node, { parallelism, maxParallelism })));
    return deadLetterSink === undefined ? vertices : [...vertices, place(deadLetterUid, slots)];
  }

  async #openThread(slot: number, open: OpenSlot): Promise<void> {
    const thread = await open(slot, {
      event: (event) => this.#hear(event),
      died: (reason) => this.#hear({ kind: "failed", slice: this.#slice(slot), code: "DIED", message: reason, fatal: false }),
    });
    this.slots.push(thread);
    this.#addresses.push({ slot, taskManagerId: "tm", host: thread.host, port: thread.port });
  }

  async #openSlot(slot: number): Promise<void> {
    const { dataflow, directory, maxParallelism = 32, stateBackend = memoryBackend(), storage, deadLetterSink, exchange } = this.#options;
    const reception = new Reception(dataflow.name, systemClock);
    let transport: Transport = this.network.transport();
    let port = slot + 1;
    if (this.#options.transport === "tcp") {
      const tcp = await TcpTransport.listen({ host: "127.0.0.1", port: 0 }, (wire) => reception.incoming(wire));
      this.#transports.push(tcp);
      transport = tcp;
      port = tcp.port;
    } else this.network.listen(port, (wire) => reception.incoming(wire));
    this.#addresses.push({ slot, taskManagerId: `tm-${slot}`, host: "127.0.0.1", port });
    const opened = new Slot(
      {
        dataflow,
        planFingerprint: planFingerprint(planOf(dataflow)),
        maxParallelism,
        clock: this.#clock,
        log: silentLog,
        stateBackend,
        badRows:
          deadLetterSink === undefined ? { onBadRecord: "fail", maxPerMinute: 0 } : { onBadRecord: "dead-letter", maxPerMinute: Infinity },
        ...(deadLetterSink === undefined ? {} : { deadLetterSink }),
        directory: join(directory, `slot-${slot}`),
        snapshots: { storage, folder: `${dataflow.name}/`, compression: "none" },
        openSnapshot: async (location) => {
          if (this.#restored === undefined) throw new Error("nothing to restore");
          return { restore: taskRestore(this.#restored, location), close: async () => {} };
        },
        exchange: { ...defaultExchange, ...exchange },
        transport,
        reception,
        connectTimeoutMs: 20_000,
      },
      (event) => this.#hear(event),
    );
    this.slots.push({ command: (command) => opened.command(command), status: async () => opened.status(), close: () => opened.close() });
  }

  async #deploy(): Promise<void> {
    const { slots, restore, dataflow, alignmentTimeoutMs = Infinity } = this.#options;
    this.#epoch = await this.#store.acquireEpoch();
    this.#restored = restore === undefined ? undefined : await this.#store.restore(restore);
    this.#nextId = this.#store.nextCheckpointId;
    const { openSlot } = this.#options;
    for (let slot = 0; slot < slots; slot++) await (openSlot === undefined ? this.#openSlot(slot) : this.#openThread(slot, openSlot));
    this.#all({
      kind: "deploy",
      planFingerprint: planFingerprint(planOf(dataflow)),
      vertices: this.#vertices,
      slots: this.#addresses,
      ...(this.#restored === undefined
        ? {}
        : {
            restore: {
              url: this.#restored.url,
              checkpointId: this.#restored.checkpointId,
              committed: this.#restored.committed,
              allowNonRestoredState: false,
            },
          }),
      checkpointIntervalMs: Infinity,
      alignmentTimeoutMs,
    });
    await this.#heard("deployed", () => true);
    if (this.#restored !== undefined && !this.#restored.committed) await this.#store.markCommitted(this.#restored.checkpointId);
    await this.#assignSplits();
    const { betweenStarts } = this.#options;
    if (betweenStarts === undefined) return this.#all({ kind: "start" });
    for (const [index, slot] of this.slots.entries()) {
      if (index > 0) await betweenStarts();
      slot.command({ epoch: this.#epoch, slice: this.#slice(index), kind: "start" });
    }
  }

  async #assignSplits(): Promise<void> {
    for (const node of this.#options.dataflow.nodes) {
      if (node.body.kind !== "source") continue;
      const restored = this.#restored?.source(node.uid);
      const context = { jobName: this.#options.dataflow.name, uid: node.uid, subtask: 0, clock: this.#clock, log: silentLog };
      const enumerator = await node.body.source.openEnumerator(context, restored?.enumerator);
      const known = new Set([...(restored?.finished ?? []), ...(restored?.splits.map(({ split }) => split.id) ?? [])]);
      const fresh = (await enumerator.discover(known)).map((split) => ({ split, watermarkMs: Number.NEGATIVE_INFINITY }));
      for (const { split } of fresh) known.add(split.id);
      this.#sources.set(node.uid, { enumerator, known });
      const vertex = this.#vertices.find(({ uid }) => uid === node.uid) as VertexPlacement;
      const all = [...(restored?.splits ?? []), ...fresh];
      const assignments: SplitAssignment[] = vertex.slots.map((_, subtask) => ({
        uid: node.uid,
        subtask,
        splits: all.filter((_split, index) => index % vertex.parallelism === subtask),
        complete: enumerator.intervalMs === Infinity,
      }));
      this.#all({ kind: "assign", assignments });
    }
  }

  #slice(slot: number): SliceId {
    return { region: "all", attempt: 1, slot };
  }

  #all(command: DistributedCommand): void {
    this.slots.forEach((slot, index) => slot.command({ epoch: this.#epoch, slice: this.#slice(index), ...command } as SlotCommand));
  }

  #hear(event: SlotEvent): void {
    this.events.push(event);
    this.#options.onEvent?.(event);
    if (event.kind === "failed" && this.#failure === undefined)
      this.#failure = new Error(`slot ${event.slice.slot} failed: ${event.code}: ${event.message}`);
    if (event.kind === "uploadFailed" || event.kind === "commitFailed") this.#failure ??= new Error(`${event.kind}: ${event.reason}`);
    const waits = this.#waits;
    this.#waits = [];
    for (const wait of waits) {
      if (this.#failure !== undefined) wait.reject(this.#failure);
      else if (wait.until()) wait.resolve();
      else this.#waits.push(wait);
    }
  }

  /** Settles when every slot has told `kind`; rejects when a slice fails. */
  #heard<K extends SlotEvent["kind"]>(kind: K, matches: (event: Extract<SlotEvent, { readonly kind: K }>) => boolean): Promise<void> {
    const until = (): boolean => {
      const slots = this.events
        .filter((event) => event.kind === kind && matches(event as Extract<SlotEvent, { readonly kind: K }>))
        .map(({ slice }) => slice.slot);
      return new Set(slots).size === this.slots.length;
    };
    return this.#wait(until);
  }

  #wait(until: () => boolean): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    if (until()) return Promise.resolve();
    return new Promise((resolve, reject) => this.#waits.push({ until, resolve, reject }));
  }

  /** Takes a checkpoint, publishes it, and has it committed. */
  async checkpoint(after: "go" | "hold" | "drain" = "go"): Promise<TestCheckpoint> {
    const taken = await this.capture(after);
    await this.publish(taken.checkpointId, taken.acks);
    await this.commit(taken.checkpointId);
    const ref = (await this.#store.latest()) as SnapshotRef;
    return { ref, ...taken };
  }

  /** Settles when all slots have acknowledged a new checkpoint. */
  async capture(after: "go" | "hold" | "drain" = "go"): Promise<{ readonly checkpointId: number; readonly acks: readonly Acknowledged[] }> {
    const checkpointId = this.#nextId++;
    this.trigger(checkpointId, after);
    await this.#heard("acknowledged", (event) => event.checkpointId === checkpointId);
    const acks = this.events.filter((event): event is Acknowledged => event.kind === "acknowledged" && event.checkpointId === checkpointId);
    return { checkpointId, acks: this.slots.map((_, slot) => acks.find(({ slice }) => slice.slot === slot) as Acknowledged) };
  }

  trigger(checkpointId: number, after: "go" | "hold" | "drain"): void {
    this.#all({ kind: "trigger", checkpointId, after });
  }

  async publish(checkpointId: number, acks: readonly Acknowledged[]): Promise<void> {
    const held = new Set(
      acks.flatMap(({ ack }) => ack.subtasks.flatMap(({ uid, splits }) => (splits ?? []).map(({ id }) => `${uid} ${id}`))),
    );
    const sources = new Map<string, SourceRecord>();
    for (const [uid, { enumerator, known }] of this.#sources) {
      sources.set(uid, { enumerator: enumerator.snapshot?.(), finished: [...known].filter((id) => !held.has(`${uid} ${id}`)) });
    }
    await this.#store.publish(
      checkpointId,
      acks.map(({ ack }) => ack),
      sources,
    );
  }

  async commit(checkpointId: number): Promise<void> {
    this.#all({ kind: "commit", checkpointId });
    await this.#heard("committed", (event) => event.checkpointId === checkpointId);
    await this.#store.markCommitted(checkpointId);
  }

  /** Asks for bases of every operator. */
  bases(): void {
    for (const vertex of this.#vertices) {
      vertex.slots.forEach((slot, subtask) => {
        this.slots[slot]?.command({ epoch: this.#epoch, slice: this.#slice(slot), kind: "base", uid: vertex.uid, subtask });
      });
    }
  }

  /** The job's bounded input is processed, and a last checkpoint makes its output visible. */
  async finish(): Promise<TestCheckpoint> {
    await this.ended();
    return this.checkpoint("hold");
  }

  /** Every slice has processed everything. */
  ended(): Promise<void> {
    return this.#heard("ended", () => true);
  }

  /** Settles with the first failure that a slot tells. */
  async failed(): Promise<Extract<SlotEvent, { readonly kind: "failed" }>> {
    const of = (): Extract<SlotEvent, { readonly kind: "failed" }> | undefined =>
      this.events.find((event): event is Extract<SlotEvent, { readonly kind: "failed" }> => event.kind === "failed");
    await this.#wait(() => of() !== undefined).catch(() => {});
    return of() as Extract<SlotEvent, { readonly kind: "failed" }>;
  }

  async close(): Promise<void> {
    clearInterval(this.#alive);
    await Promise.all(this.slots.map((slot) => slot.close()));
    for (const transport of this.#transports) await transport.close();
    for (const { enumerator } of this.#sources.values()) await enumerator.close();
    await this.#store.close();
    await rm(this.#options.directory, { recursive: true, force: true });
  }
}

type Without<C> = C extends unknown ? Omit<C, "epoch" | "slice"> : never;
type DistributedCommand = Without<SlotCommand>;
