// The at-least-once side of the Kafka sink: an idempotent producer; a checkpoint waits until all before it is acknowledged.
import type { Batch } from "../../../core/batch/batch.ts";
import type { SinkWriter } from "../../../core/ports/sink.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import type { BufferBudget } from "./buffer-budget.ts";
import { ProducerOutput } from "./record-writer.ts";
import type { RecordProducer } from "./record-producer.ts";
import type { RowOutput } from "./row-output.ts";

const nothing = new Uint8Array(0);

export class AtLeastOnceWriter implements SinkWriter {
  readonly #client: KafkaClient;
  readonly #rows: RowOutput;
  readonly #output: ProducerOutput;
  readonly #budget: BufferBudget;
  readonly gauges: NonNullable<SinkWriter["gauges"]>;

  constructor(client: KafkaClient, rows: RowOutput, producer: RecordProducer, budget: BufferBudget) {
    this.#client = client;
    this.#rows = rows;
    this.#output = new ProducerOutput(producer);
    this.#budget = budget;
    this.gauges = { acknowledge_ms: () => producer.acknowledgeMs };
  }

  write(batch: Batch): void {
    if (this.#budget.failure !== undefined) throw this.#budget.failure;
    this.#rows.write(batch, this.#output);
    this.#output.producer.poke();
  }

  ready(): Promise<void> | undefined {
    return this.#rows.settled() ?? this.#budget.ready();
  }

  async flush(): Promise<void> {
    this.#output.producer.poke();
    if (this.#budget.failure !== undefined) throw this.#budget.failure;
  }

  async prepare(): Promise<Uint8Array> {
    await this.#rows.settled();
    await this.#output.producer.flush();
    return nothing;
  }

  async commit(): Promise<void> {
    // Everything was visible when it was acknowledged.
  }

  async close(): Promise<void> {
    await this.#output.producer.close();
    await this.#client.close();
  }
}
