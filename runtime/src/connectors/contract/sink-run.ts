// Drives a sink the way a driver does: epochs, checkpoints, crashes and restores. The hands of the sink suite.
import { systemClock } from "../../base/clock.ts";
import { silentLog } from "../../base/log.ts";
import { Batch, Rows } from "../../core/batch/batch.ts";
import { rowWriter } from "../../core/batch/rows-builder.ts";
import type { Sink, SinkContext, SinkWriter } from "../../core/ports/sink.ts";
import { int53, string } from "../../core/schema/field.ts";
import { type Schema, schema } from "../../core/schema/schema.ts";
import { within } from "./suite.ts";

/** A row of the sink suite. */
export interface SinkRow {
  readonly id: number;
  readonly name: string;
}

/** The schema of the rows that the sink suite writes. */
export const sinkSuiteSchema: Schema<SinkRow> = schema({ id: int53(), name: string() });

/** Output that a fixture made, and the sinks that write to it. */
export interface SinkWorld {
  /** A sink over the output as a new process makes it: called again after every crash. */
  sink(): Sink;
  /** All rows that a reader outside sees now, in the order it sees them. */
  visible(): Promise<readonly SinkRow[]>;
  /**
   * Called in place of `close` where a process dies: must free what would outlive the process in this one (timers, sockets)
   * without finishing anything. Default: the writers are dropped.
   */
  crash?(writers: readonly SinkWriter[]): Promise<void>;
  /** Removes the output. */
  dispose(): Promise<void>;
}

/** Row number `id`; every seventh has text that formats must escape. */
export function sinkRow(id: number): SinkRow {
  return { id, name: id % 7 === 0 ? `"${id}",\n\u00e9 \u{1F600}` : `row-${id}` };
}

/** Hands rows to a writer among rows that are not selected, and overwrites them after the call, as batch owners do. */
export function writeRows(writer: SinkWriter, ids: readonly number[]): void {
  const rows = new Rows(sinkSuiteSchema, ids.length * 2);
  const put = rowWriter(sinkSuiteSchema);
  rows.ready.fill(1);
  rows.size = ids.length * 2;
  const selection = new Int32Array(ids.length);
  for (const [i, id] of ids.entries()) {
    rows.times[2 * i] = -1;
    rows.times[2 * i + 1] = id * 1000;
    put(rows, 2 * i, { id: -1, name: "not selected" });
    put(rows, 2 * i + 1, sinkRow(id));
    selection[i] = 2 * i + 1;
  }
  writer.write(new Batch(rows, selection, ids.length));
  selection.fill(0);
  for (let i = 0; i < rows.size; i++) put(rows, i, { id: -2, name: "overwritten" });
}

/** What a snapshot stores about the sink. */
interface Published {
  readonly checkpointId: number;
  readonly committed: boolean;
  readonly states: readonly Uint8Array[];
  /** Rows before the cut: where the source would be rewound to. */
  readonly rows: number;
}

/** One job that writes rows 0, 1, 2, ... to the world's output, over any number of process lives. */
export class SinkJob {
  readonly world: SinkWorld;
  writers: SinkWriter[] = [];
  /** Rows handed over since the beginning, as of this life. */
  rows = 0;
  published: Published | undefined;
  #prepared: Published | undefined;
  #checkpointId = 0;

  constructor(world: SinkWorld) {
    this.world = world;
  }

  /** Starts a process life from the last published snapshot. */
  async start(parallelism: number): Promise<void> {
    const sink = this.world.sink();
    const restored = this.published;
    this.rows = restored?.rows ?? 0;
    this.#checkpointId = restored?.checkpointId ?? 0;
    this.#prepared = undefined;
    const context = (subtask: number): SinkContext => ({
      jobName: "contract",
      uid: "contract-sink",
      subtask,
      parallelism,
      clock: systemClock,
      log: silentLog,
      checkpointIntervalMs: 1000,
      ...(restored === undefined
        ? {}
        : { restored: { checkpointId: restored.checkpointId, committed: restored.committed, states: restored.states } }),
    });
    const subtasks = Array.from({ length: parallelism }, (_, subtask) => subtask);
    this.writers = await within(Promise.all(subtasks.map((subtask) => sink.openWriter(context(subtask), sinkSuiteSchema))), "openWriter");
  }

  /** Deals the next `count` rows to the writers, with respect to their back pressure. */
  async write(count: number): Promise<void> {
    const parallelism = this.writers.length;
    for (const [subtask, writer] of this.writers.entries()) {
      const ids = Array.from({ length: count }, (_, i) => this.rows + i).filter((id) => id % parallelism === subtask);
      const room = writer.ready();
      if (room !== undefined) await within(room, "ready() of the writer");
      if (ids.length > 0) writeRows(writer, ids);
    }
    this.rows += count;
  }

  async flush(): Promise<void> {
    await within(Promise.all(this.writers.map((writer) => writer.flush())), "flush()");
  }

  /** All writers close the epoch. */
  async prepare(): Promise<void> {
    const checkpointId = ++this.#checkpointId;
    const rows = this.rows;
    const states = await within(Promise.all(this.writers.map((writer) => writer.prepare(checkpointId))), "prepare()");
    this.#prepared = { checkpointId, committed: false, states: states.map((state) => Uint8Array.from(state)), rows };
  }

  /** The snapshot with what was prepared is complete. */
  publish(): void {
    this.published = this.#prepared;
  }

  async commit(writers: readonly SinkWriter[] = this.writers): Promise<void> {
    const checkpointId = this.published?.checkpointId ?? 0;
    await within(Promise.all(writers.map((writer) => writer.commit(checkpointId))), "commit()");
  }

  /** The snapshot records that its commit has happened. */
  record(): void {
    if (this.published !== undefined) this.published = { ...this.published, committed: true };
  }

  async checkpoint(): Promise<void> {
    await this.prepare();
    this.publish();
    await this.commit();
    this.record();
  }

  /** The process dies. */
  async crash(): Promise<void> {
    const writers = this.writers;
    this.writers = [];
    await this.world.crash?.(writers);
  }

  async close(): Promise<void> {
    const writers = this.writers;
    this.writers = [];
    await within(Promise.all(writers.map((writer) => writer.close())), "close()");
  }
}
