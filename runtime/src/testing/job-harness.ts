// Runs a whole job under a test's control: rows pushed by hand, a clock that stands still, outputs as plain objects.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "../base/clock.ts";
import { MillraceError } from "../base/errors.ts";
import { type Log, silentLog } from "../base/log.ts";
import {
  type MemoryRecord,
  type MemoryRecordSource,
  type MemorySink,
  type MemorySource,
  memoryRecords,
  memorySink,
  memorySource,
} from "../connectors/memory/index.ts";
import type { RowKind } from "../core/batch/batch.ts";
import { SplitAssigner } from "../drivers/continuous/split-assigner.ts";
import type { DeadLetter } from "../drivers/task/bad-row-policy.ts";
import { buildTask } from "../drivers/task/build-task.ts";
import type { Task } from "../drivers/task/task.ts";
import type { Job } from "../dsl/job.ts";
import type { Dataflow, DataflowInput, DataflowNode, SourceBody } from "../plan/dataflow.ts";
import { memoryBackend } from "../state/memory/memory-backend.ts";

export interface TestJobOptions {
  readonly parameters?: Readonly<Record<string, string>>;
  /** Default 1. */
  readonly parallelism?: number;
  /** Where the clock stands at first, ms since the epoch. Default 0. */
  readonly nowMs?: number;
  readonly log?: Log;
}

/** A row that reached a sink. */
export interface TestOutput {
  readonly row: Readonly<Record<string, unknown>>;
  readonly kind: RowKind;
  readonly timeMs: number;
}

// More turns than this without coming to rest is a job that feeds itself.
const maxTurns = 1_000_000;

/** Opens a job for a test; its sources and sinks are replaced by ones in memory. Call `close` at the end. */
export async function testJob(job: Job, options: TestJobOptions = {}): Promise<JobHarness> {
  return JobHarness.open(job, options);
}

export class JobHarness {
  readonly clock: ManualClock;
  readonly #task: Task;
  readonly #sources: ReadonlyMap<string, MemorySource | MemoryRecordSource>;
  readonly #sinks: ReadonlyMap<string, MemorySink>;
  readonly #letters: MemorySink;
  readonly #assigners: readonly SplitAssigner[];
  readonly #directory: string;
  readonly #read = new Map<string, number>();

  private constructor(parts: {
    readonly clock: ManualClock;
    readonly task: Task;
    readonly sources: ReadonlyMap<string, MemorySource | MemoryRecordSource>;
    readonly sinks: ReadonlyMap<string, MemorySink>;
    readonly letters: MemorySink;
    readonly assigners: readonly SplitAssigner[];
    readonly directory: string;
  }) {
    this.clock = parts.clock;
    this.#task = parts.task;
    this.#sources = parts.sources;
    this.#sinks = parts.sinks;
    this.#letters = parts.letters;
    this.#assigners = parts.assigners;
    this.#directory = parts.directory;
  }

  static async open(job: Job, options: TestJobOptions): Promise<JobHarness> {
    const clock = new ManualClock(options.nowMs ?? 0);
    const sources = new Map<string, MemorySource | MemoryRecordSource>();
    const sinks = new Map<string, MemorySink>();
    const letters = memorySink({ delivery: "at-least-once" });
    const dataflow = inMemory(job.build(options.parameters), sources, sinks);
    const directory = await mkdtemp(join(tmpdir(), "millrace-test-"));
    const log = options.log ?? silentLog;
    const task = await buildTask({
      jobName: dataflow.name,
      dataflow,
      parallelism: options.parallelism ?? 1,
      maxParallelism: 128,
      clock,
      log,
      stateBackend: memoryBackend(),
      workDirectory: directory,
      checkpointIntervalMs: Infinity,
      badRows: { onBadRecord: "dead-letter", maxPerMinute: Infinity },
      deadLetterSink: letters,
      wake: () => {},
    });
    const assigners: SplitAssigner[] = [];
    for (const node of dataflow.nodes) {
      if (node.body.kind !== "source") continue;
      const readers = task.sources.filter((source) => source.uid === node.uid);
      const fail = (error: unknown): void => log.error("split discovery failed", { error });
      assigners.push(
        await SplitAssigner.open(
          node as DataflowNode & { body: SourceBody },
          readers,
          { jobName: dataflow.name, clock, log },
          undefined,
          fail,
        ),
      );
    }
    return new JobHarness({ clock, task, sources, sinks, letters, assigners, directory });
  }

  /** Adds rows to a source that makes rows, or rows of a source with a format, given as JSON values that are sent as records. */
  push(source: string, ...rows: readonly object[]): this {
    const target = this.#source(source);
    for (const row of rows) {
      if ("schema" in target) target.push(row);
      else target.push({ value: JSON.stringify(row, (_name, value: unknown) => (typeof value === "bigint" ? Number(value) : value)) });
    }
    return this;
  }

  /** Adds raw records to a source with a format. */
  pushRecords(source: string, ...records: readonly MemoryRecord[]): this {
    const target = this.#source(source);
    if ("schema" in target) throw new MillraceError("TEST_SOURCE_ROWS", `source "${source}"`, "makes rows, not records", "use push");
    for (const record of records) target.push(record);
    return this;
  }

  /** No more rows come from a source; when all have ended, event time reaches its end. */
  end(source?: string): this {
    for (const [uid, target] of this.#sources) if (source === undefined || source === uid) target.end();
    return this;
  }

  /** Processes everything that can be processed now. Asynchronous functions are waited for. */
  async run(): Promise<this> {
    for (let turn = 0; turn < maxTurns; turn++) {
      const mail = this.#task.runMailbox();
      const stepped = this.#task.step();
      this.#task.fireTimers();
      if (mail || stepped) continue;
      if (this.#task.endSources((source) => source.exhausted)) continue;
      if (!this.#task.busy) return this;
      await new Promise((resolve) => setImmediate(resolve));
    }
    throw new Error("the job does not come to rest");
  }

  /** Moves the clock on and processes what falls due. */
  async advance(byMs: number): Promise<this> {
    this.clock.advance(byMs);
    return this.run();
  }

  /** The rows that a sink has got since the last call. */
  take(sink: string): readonly TestOutput[] {
    const target = this.#sinks.get(sink);
    if (target === undefined)
      throw new MillraceError(
        "TEST_SINK_UNKNOWN",
        `sink "${sink}"`,
        "is not in the job",
        `use one of ${[...this.#sinks.keys()].join(", ")}`,
      );
    const from = this.#read.get(sink) ?? 0;
    this.#read.set(sink, target.written.length);
    return target.written.slice(from).map(({ row, kind, timeMs }) => ({ row: row as Readonly<Record<string, unknown>>, kind, timeMs }));
  }

  /** The values of a sink's new rows alone. */
  rows(sink: string): readonly Readonly<Record<string, unknown>>[] {
    return this.take(sink).map(({ row }) => row);
  }

  /** The dead letters so far. */
  deadLetters(): readonly DeadLetter[] {
    return this.#letters.written.map(({ row }) => row as DeadLetter);
  }

  async close(): Promise<void> {
    for (const assigner of this.#assigners) await assigner.close();
    await this.#task.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  #source(uid: string): MemorySource | MemoryRecordSource {
    const found = this.#sources.get(uid);
    if (found === undefined)
      throw new MillraceError(
        "TEST_SOURCE_UNKNOWN",
        `source "${uid}"`,
        "is not in the job",
        `use one of ${[...this.#sources.keys()].join(", ")}`,
      );
    return found;
  }
}

// The same plan with sources and sinks in memory; formats stay, so records are decoded as in production.
function inMemory(dataflow: Dataflow, sources: Map<string, MemorySource | MemoryRecordSource>, sinks: Map<string, MemorySink>): Dataflow {
  const replaced = new Map<DataflowNode, DataflowNode>();
  const nodes = dataflow.nodes.map((node) => {
    const inputs = node.inputs.map((input): DataflowInput => ({ ...input, from: replaced.get(input.from) as DataflowNode }));
    const copy: DataflowNode = { ...node, inputs, body: inMemoryBody(node, sources, sinks) };
    replaced.set(node, copy);
    return copy;
  });
  return { name: dataflow.name, nodes };
}

function inMemoryBody(
  node: DataflowNode,
  sources: Map<string, MemorySource | MemoryRecordSource>,
  sinks: Map<string, MemorySink>,
): DataflowNode["body"] {
  if (node.body.kind === "source") {
    const source = node.body.format === undefined ? memorySource(node.schema) : memoryRecords();
    sources.set(node.uid, source);
    return { ...node.body, source };
  }
  if (node.body.kind === "sink") {
    const sink = memorySink({ delivery: "at-least-once" });
    sinks.set(node.uid, sink);
    return { kind: "sink", sink };
  }
  return node.body;
}
