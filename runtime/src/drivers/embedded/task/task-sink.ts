// A Kafka sink of the dataflow within a task: its records go through the task's producer, so that the task's commit covers them.
import type { Clock } from "../../../base/clock.ts";
import type { KafkaClient } from "../../../connectors/kafka/client/kafka-client.ts";
import type { BufferBudget } from "../../../connectors/kafka/sink/buffer-budget.ts";
import type { KafkaSink } from "../../../connectors/kafka/sink/kafka-sink.ts";
import type { RecordProducer } from "../../../connectors/kafka/sink/record-producer.ts";
import { ProducerOutput } from "../../../connectors/kafka/sink/record-writer.ts";
import { RowOutput } from "../../../connectors/kafka/sink/row-output.ts";
import type { Batch } from "../../../core/batch/batch.ts";
import type { Sink, SinkWriter } from "../../../core/ports/sink.ts";

export interface TaskSinkParts {
  readonly client: KafkaClient;
  readonly producer: RecordProducer;
  readonly budget: BufferBudget;
  readonly clock: Clock;
}

const nothing = new Uint8Array(0);

export function taskSink(sink: KafkaSink, parts: TaskSinkParts): Sink {
  const { connector, options, accepts, delivery } = sink;
  return {
    connector,
    options,
    accepts,
    delivery,
    openWriter: async (_context, schema) => new TaskSinkWriter(await RowOutput.open(parts.client, sink.kafka, schema, parts.clock), parts),
  };
}

class TaskSinkWriter implements SinkWriter {
  readonly #rows: RowOutput;
  readonly #parts: TaskSinkParts;
  readonly #output: ProducerOutput;

  constructor(rows: RowOutput, parts: TaskSinkParts) {
    this.#rows = rows;
    this.#parts = parts;
    this.#output = new ProducerOutput(parts.producer);
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
