// Hands rows to a record writer, and keeps those whose topic is being looked up, in order.
import { Batch, Rows } from "../../../core/batch/batch.ts";
import { appendRows } from "../../../core/batch/copy.ts";
import type { RecordEncoder } from "../../../core/ports/format.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import type { Clock } from "../../../base/clock.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import type { RecordGate } from "./record-gate.ts";
import { type ProducerOutput, RecordWriter } from "./record-writer.ts";
import type { KafkaSinkConfig } from "./sink-options.ts";

interface Held {
  readonly rows: Rows;
  readonly output: ProducerOutput;
  /** Rows before this were written. */
  from: number;
}

export class RowOutput {
  readonly #client: KafkaClient;
  readonly #schema: Schema;
  readonly #writer: RecordWriter;
  readonly #partitions = new Map<string, number>();
  readonly #missing = { topic: "" };
  readonly #held: Held[] = [];
  readonly #gate: RecordGate | undefined;
  #lookUp: Promise<void> | undefined;

  private constructor(
    client: KafkaClient,
    config: KafkaSinkConfig,
    schema: Schema,
    encoder: RecordEncoder,
    clock: Clock,
    gate: RecordGate | undefined,
  ) {
    this.#client = client;
    this.#gate = gate;
    this.#schema = schema;
    this.#writer = new RecordWriter({ config, schema, encoder, clock, partitionsOf: (topic) => this.#partitions.get(topic) });
  }

  /** Looks up the topic where there is only one, so that a missing topic is an error before anything is written. */
  static async open(client: KafkaClient, config: KafkaSinkConfig, schema: Schema, clock: Clock, gate?: RecordGate): Promise<RowOutput> {
    const encoder = await config.rows.format.openEncoder(schema);
    const output = new RowOutput(client, config, schema, encoder, clock, gate);
    if (typeof config.rows.topic === "string") await output.#find(config.rows.topic);
    return output;
  }

  /** Writes rows to `output`; those from the first one of an unknown topic on are copied and written later. */
  write(batch: Batch, output: ProducerOutput): void {
    const done = this.#held.length > 0 ? 0 : this.#writer.write(batch, 0, output, this.#missing);
    if (done === batch.count) return;
    const last = this.#held.at(-1);
    const held = last?.output === output ? last : { rows: new Rows(this.#schema, batch.count), output, from: 0 };
    if (held !== last) this.#held.push(held);
    appendRows(new Batch(batch.rows, batch.selection.subarray(done, batch.count), batch.count - done), held.rows);
    this.#lookUp ??= this.#releaseHeld();
    // Whoever waits for `settled` is told of a failure; without this it would be reported as nobody's.
    this.#lookUp.catch(() => undefined);
  }

  /** Undefined when no row is held; else settles when none is, or rejects when a topic does not exist. */
  settled(): Promise<void> | undefined {
    return this.#lookUp;
  }

  async #releaseHeld(): Promise<void> {
    while (this.#held.length > 0) {
      await this.#find(this.#missing.topic);
      this.#writeHeld();
    }
    this.#lookUp = undefined;
  }

  // Writes what is held up to the next row of an unknown topic.
  #writeHeld(): void {
    for (let held = this.#held[0]; held !== undefined; held = this.#held[0]) {
      held.from = this.#writer.write(new Batch(held.rows), held.from, held.output, this.#missing);
      held.output.producer.poke();
      if (held.from < held.rows.size) return;
      this.#held.shift();
    }
  }

  async #find(topic: string): Promise<void> {
    const [found] = await this.#client.topics([topic]);
    await this.#gate?.learn(topic);
    this.#partitions.set(topic, found?.partitions.length ?? 0);
  }
}
