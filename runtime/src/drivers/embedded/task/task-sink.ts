// A Kafka sink of the dataflow within a task: its records go through the task's producer, so that the task's commit covers them.
import type { BufferBudget } from "../../../connectors/kafka/sink/buffer-budget.ts";
import { isKafkaSink } from "../../../connectors/kafka/sink/kafka-sink.ts";
import { RecordGate, type RefusedRecord } from "../../../connectors/kafka/sink/record-gate.ts";
import type { RecordProducer } from "../../../connectors/kafka/sink/record-producer.ts";
import { ProducerOutput } from "../../../connectors/kafka/sink/record-writer.ts";
import { RowOutput } from "../../../connectors/kafka/sink/row-output.ts";
import type { Batch } from "../../../core/batch/batch.ts";
import type { Sink, SinkWriter } from "../../../core/ports/sink.ts";
import type { TaskHost } from "./task-host.ts";

export interface TaskSinkParts {
  readonly host: TaskHost;
  readonly producer: RecordProducer;
  readonly budget: BufferBudget;
}

const nothing = new Uint8Array(0);

/** Sinks of other kinds stay what they are. `refused` takes the records that a broker would refuse, where the application puts them aside. */
export function taskSink(sink: Sink, parts: TaskSinkParts, refused: (record: RefusedRecord) => void): Sink {
  if (!isKafkaSink(sink)) return sink;
  const { client, clock, putsRefusedAside } = parts.host;
  const { connector, options, accepts, delivery, kafka } = sink;
  return {
    connector,
    options,
    accepts,
    delivery,
    openWriter: async (_context, schema) => {
      // Without a gate they are sent, and the broker's refusal is a failure of the task.
      const gate = putsRefusedAside ? new RecordGate(client, refused) : undefined;
      return new TaskSinkWriter(await RowOutput.open(client, kafka, schema, clock, gate), parts, gate);
    },
  };
}

class TaskSinkWriter implements SinkWriter {
  readonly #rows: RowOutput;
  readonly #parts: TaskSinkParts;
  readonly #output: ProducerOutput;

  constructor(rows: RowOutput, parts: TaskSinkParts, gate: RecordGate | undefined) {
    this.#rows = rows;
    this.#parts = parts;
    this.#output = new ProducerOutput(parts.producer, gate);
  }

  write(batch: Batch): void {
    if (this.#parts.budget.failure !== undefined) throw this.#parts.budget.failure;
    this.#rows.write(batch, this.#output);
    this.#parts.producer.poke();
  }

  ready(): Promise<void> | undefined {
    return this.#rows.settled() ?? this.#parts.budget.ready();
  }

  async flush(): Promise<void> {
    this.#parts.producer.poke();
  }

  async prepare(): Promise<Uint8Array> {
    await this.#rows.settled();
    return nothing;
  }

  async commit(): Promise<void> {
    // The task's commit covers it.
  }

  async close(): Promise<void> {
    // Client and producer are the task's.
  }
}
