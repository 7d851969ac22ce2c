// A process's view of its application's control topic: reads it to its end and on, and writes to it.
import { messageOf } from "../../../base/errors.ts";
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import { Signal } from "../../../base/signal.ts";
import type { KafkaClient } from "../../../connectors/kafka/client/kafka-client.ts";
import { retryDelayMs, sleep } from "../../../connectors/kafka/client/retry.ts";
import { BufferBudget } from "../../../connectors/kafka/sink/buffer-budget.ts";
import { type ProducerOptions, RecordProducer } from "../../../connectors/kafka/sink/record-producer.ts";
import { Fetcher } from "../../../connectors/kafka/source/fetcher.ts";
import { PartitionReader } from "../../../connectors/kafka/source/partition-reader.ts";
import { splitIdOf } from "../../../connectors/kafka/source/source-options.ts";
import type { SplitPosition } from "../../../connectors/kafka/source/split-position.ts";
import type { RawRecords } from "../../../core/batch/raw-records.ts";
import { applyRecord, type ControlRecord, type ControlState, emptyControl, keyOf } from "./control-state.ts";

export interface ControlLogParts {
  /** Connections of its own: a record is seen at once, however busy the others are. */
  readonly client: KafkaClient;
  readonly topic: string;
  readonly producer: ProducerOptions;
  readonly transactionTimeoutMs: number;
  readonly failureTimeoutMs: number;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  /** Called after each record that changed something. */
  readonly changed: (state: ControlState) => void;
}

const pollRecords = 256;
const fetchedBytes = 8 * 1024 * 1024;
const noHeaders: readonly [] = [];

export function controlTopic(applicationId: string): string {
  return `${applicationId}-control`;
}

export class ControlLog {
  readonly #parts: ControlLogParts;
  readonly #reader: PartitionReader;
  readonly #moved: Signal = new Signal();
  #state: ControlState = emptyControl;
  #producer: Promise<RecordProducer> | undefined;
  #closed = false;
  #running: Promise<void> | undefined;

  private constructor(parts: ControlLogParts) {
    const { client, clock, log, random, failureTimeoutMs } = parts;
    this.#parts = parts;
    const fetching = {
      isolation: "read_committed",
      onOffsetOutOfRange: "earliest",
      maxPartitionBytes: 1024 * 1024,
      maxBufferedBytes: fetchedBytes,
      maxWaitMs: 500,
      failureTimeoutMs,
    } as const;
    this.#reader = new PartitionReader({
      client: { commitGroupOffsets: async () => undefined, close: async () => undefined },
      fetcher: new Fetcher(fetching, { client, clock, log, random }),
      readCommitted: true,
      groupId: undefined,
      uid: parts.topic,
      log,
    });
  }

  /** Reads the topic to its end. */
  static async open(parts: ControlLogParts): Promise<ControlLog> {
    const control = new ControlLog(parts);
    const at = { topic: parts.topic, partition: 0 };
    const [start] = await parts.client.listOffsets([{ ...at, at: "earliest" }], "read_committed");
    const position: SplitPosition = { offset: start?.offset ?? 0, leaderEpoch: -1, topicId: "" };
    control.#reader.assign([{ id: splitIdOf(parts.topic, 0), position }]);
    control.#running = control.#run();
    await control.catchUp();
    return control;
  }

  get state(): ControlState {
    return this.#state;
  }

  get #position(): number {
    const [split] = this.#reader.snapshot();
    return (split as { readonly position: SplitPosition }).position.offset;
  }

  /** Settles when everything is read that was there at the call. */
  async catchUp(): Promise<void> {
    const [end] = await this.#parts.client.listOffsets([{ topic: this.#parts.topic, partition: 0, at: "latest" }], "read_committed");
    while (!this.#closed && this.#position < (end?.offset ?? 0)) await this.#moved.next();
  }

  /** Settles when `found` gives something, with that; undefined after `waitMs`, or when the log is closed. */
  async until<T>(waitMs: number, found: (state: ControlState) => T | undefined): Promise<T | undefined> {
    const cancel = { late: false };
    const stop = this.#parts.clock.after(waitMs, () => {
      cancel.late = true;
      this.#moved.notify();
    });
    try {
      for (;;) {
        const value = found(this.#state);
        if (value !== undefined || cancel.late || this.#closed) return value;
        await this.#moved.next();
      }
    } finally {
      stop();
    }
  }

  /** Settles when the record is safe in the topic; this process sees it a little later. */
  async append(record: ControlRecord): Promise<void> {
    this.#producer ??= this.#openProducer();
    const producer = await this.#producer;
    appendControl(producer, this.#parts.topic, record, this.#parts.clock.now());
    await producer.flush();
  }

  /** Deletes what has these keys. */
  async forget(keys: readonly string[]): Promise<void> {
    this.#producer ??= this.#openProducer();
    const producer = await this.#producer;
    for (const each of keys) {
      const key = Buffer.from(each);
      producer.append(producer.queue(this.#parts.topic, 0), this.#parts.clock.now(), key, 0, key.length, key, -1, 0, noHeaders);
    }
    await producer.flush();
  }

  async #openProducer(): Promise<RecordProducer> {
    const { client, clock, log, random, transactionTimeoutMs, producer: options } = this.#parts;
    const producer = new RecordProducer(null, options, { client, clock, log, random, budget: new BufferBudget(fetchedBytes) });
    producer.start(await client.initProducerId(null, transactionTimeoutMs));
    return producer;
  }

  async #run(): Promise<void> {
    for (let failures = 0; !this.#closed; ) {
      try {
        const before = this.#position;
        const polled = this.#reader.poll(pollRecords);
        if (polled?.kind === "raw") this.#read(polled.records);
        failures = 0;
        if (this.#position !== before) this.#moved.notify();
        if (polled === null) await this.#reader.ready();
      } catch (error) {
        if (this.#closed) return;
        this.#parts.log.warn("the control topic could not be read", { topic: this.#parts.topic, reason: messageOf(error) });
        await sleep(this.#parts.clock, retryDelayMs(failures++, this.#parts.random));
      }
    }
  }

  #read({ count, bytes, valueStart, valueEnd }: RawRecords): void {
    for (let i = 0; i < count; i++) {
      const start = valueStart[i] as number;
      if (start < 0) continue;
      const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, (valueEnd[i] as number) - start).toString("utf8");
      const record = recordIn(text);
      if (record === undefined) {
        this.#parts.log.warn("a record of the control topic is none of Millrace's, and is left out", { topic: this.#parts.topic });
        continue;
      }
      const before = this.#state;
      this.#state = applyRecord(before, record);
      if (this.#state !== before) this.#parts.changed(this.#state);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#moved.notify();
    await this.#reader.close();
    await (await this.#producer?.catch(() => undefined))?.close();
    await this.#running;
  }
}

const kinds: ReadonlySet<unknown> = new Set<ControlRecord["kind"]>(["origin", "round", "cut", "aborted", "published"]);

// Whoever may write to the topic may write anything. All processes leave the same out, so they go on agreeing.
function recordIn(text: string): ControlRecord | undefined {
  try {
    const record = JSON.parse(text) as { readonly kind?: unknown } | null;
    return kinds.has(record?.kind) ? (record as ControlRecord) : undefined;
  } catch {
    return undefined;
  }
}

/** Puts a record into the batch that goes to the topic. */
export function appendControl(producer: RecordProducer, topic: string, record: ControlRecord, nowMs: number): void {
  const key = Buffer.from(keyOf(record));
  const value = Buffer.from(JSON.stringify(record));
  producer.append(producer.queue(topic, 0), nowMs, key, 0, key.length, value, 0, value.length, noHeaders);
}
