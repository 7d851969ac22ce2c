// Dead letters of a task: each bad record as it was, with the reason in its headers as KIP-1034 names them, in the task's own transaction.
import type { Clock } from "../../../base/clock.ts";
import type { BufferBudget } from "../../../connectors/kafka/sink/buffer-budget.ts";
import type { RecordProducer } from "../../../connectors/kafka/sink/record-producer.ts";
import { loneBatchBytes } from "../../../connectors/kafka/wire/record-batch-builder.ts";
import type { Batch } from "../../../core/batch/batch.ts";
import { rowView } from "../../../core/batch/row-view.ts";
import type { RecordHeaders } from "../../../core/batch/raw-records.ts";
import type { Sink, SinkWriter } from "../../../core/ports/sink.ts";
import type { TaskHost, TaskPlace } from "./task-host.ts";
import { type DeadLetter, deadLetterSchema } from "../../task/bad-row-policy.ts";

export interface LetterTopic {
  readonly topic: string;
  readonly partitions: number;
  /** Of a record, as the topic's configuration says. */
  readonly maxBytes: number;
}

interface LetterSinkParts extends LetterTopic {
  readonly producer: RecordProducer;
  readonly budget: BufferBudget;
  readonly clock: Clock;
  readonly applicationId: string;
  readonly taskId: string;
  /** Of the task: where a letter goes that no partition of an input has brought. */
  readonly partition: number;
}

interface LetterContent {
  readonly key: Uint8Array | null;
  readonly value: Uint8Array | null;
  readonly headers: RecordHeaders;
}

/** How a record may differ in a batch with others. */
const mostDeltaBytes = 16;
const nothing = new Uint8Array(0);
const prefix = "__streams.errors.";

/** The sink of dead letters of a task, where the application has a topic for them. */
export function lettersOf(
  { letters, clock, applicationId }: TaskHost,
  { id: taskId, partition }: TaskPlace,
  producer: RecordProducer,
  budget: BufferBudget,
): { readonly deadLetterSink?: Sink } {
  if (letters === undefined) return {};
  return { deadLetterSink: letterSink({ ...letters, producer, budget, clock, applicationId, taskId, partition }) };
}

function letterSink(parts: LetterSinkParts): Sink {
  return {
    connector: "dead-letters",
    options: { topic: parts.topic },
    accepts: "append",
    delivery: "exactly-once",
    openWriter: async () => new LetterWriter(parts),
  };
}

class LetterWriter implements SinkWriter {
  readonly #parts: LetterSinkParts;
  readonly #letter = rowView<DeadLetter>(deadLetterSchema);

  constructor(parts: LetterSinkParts) {
    this.#parts = parts;
  }

  write(batch: Batch): void {
    const { producer, topic, partitions, partition, maxBytes } = this.#parts;
    for (let k = 0; k < batch.count; k++) {
      const letter = this.#letter;
      letter.point(batch.rows, batch.selection[k] as number);
      const from = /^(.+)-(\d+)$/.exec(letter.split ?? "");
      const to = (from === null ? partition : Number(from[2])) % partitions;
      // A record that was read keeps its bytes; of a row that failed on its way there is only the row.
      const whole = letter.value ?? (letter.row === null ? null : Buffer.from(letter.row));
      const queue = producer.queue(topic, to);
      const { key, value, headers } = this.#fitting(letter.key, whole, this.#headers(letter, from));
      producer.fits(queue, loneBatchBytes(key?.length ?? -1, value?.length ?? -1, headers) + mostDeltaBytes, maxBytes);
      producer.append(
        queue,
        letter.at,
        key ?? nothing,
        key === null ? -1 : 0,
        key?.length ?? 0,
        value ?? nothing,
        value === null ? -1 : 0,
        value?.length ?? 0,
        headers,
      );
    }
    producer.poke();
  }

  // What the topic of letters does not take either is left out, and the headers say so: better than no letter, or a task that cannot go on.
  #fitting(key: Uint8Array | null, value: Uint8Array | null, headers: RecordHeaders): LetterContent {
    const { maxBytes } = this.#parts;
    const fits = (content: LetterContent): boolean =>
      loneBatchBytes(content.key?.length ?? -1, content.value?.length ?? -1, content.headers) <= maxBytes;
    const whole = { key, value, headers };
    if (fits(whole)) return whole;
    const omitted = (what: string, content: Uint8Array | null): RecordHeaders =>
      content === null ? [] : [[`__millrace.errors.omitted.${what}.bytes`, Buffer.from(String(content.length))]];
    const withoutValue = { key, value: null, headers: [...headers, ...omitted("value", value)] };
    if (fits(withoutValue)) return withoutValue;
    return { key: null, value: null, headers: [...withoutValue.headers, ...omitted("key", key)] };
  }

  #headers({ uid, code, reason, position }: DeadLetter, from: RegExpExecArray | null): RecordHeaders {
    const { applicationId, taskId } = this.#parts;
    const texts: readonly (readonly [string, string | undefined])[] = [
      [`${prefix}exception`, code],
      [`${prefix}message`, reason],
      [`${prefix}topic`, from?.[1]],
      [`${prefix}partition`, from?.[2]],
      [`${prefix}offset`, position === null ? undefined : String(position)],
      ["__millrace.errors.uid", uid],
      ["__millrace.errors.task", `${applicationId}/${taskId}`],
    ];
    return texts.flatMap(([name, text]) => (text === undefined ? [] : [[name, Buffer.from(text)] as const]));
  }

  ready(): Promise<void> | undefined {
    return this.#parts.budget.ready();
  }

  async flush(): Promise<void> {
    this.#parts.producer.poke();
  }

  async prepare(): Promise<Uint8Array> {
    return nothing;
  }

  async commit(): Promise<void> {
    // The task's commit covers it.
  }

  async close(): Promise<void> {
    // The producer is the task's.
  }
}
