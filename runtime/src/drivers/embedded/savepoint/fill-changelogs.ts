// The first thing a task does after its application was restored: writes the savepoint's state of its key groups into its changelogs.
import { setTimeout as pause } from "node:timers/promises";
import type { KafkaClient } from "../../../connectors/kafka/client/kafka-client.ts";
import type { PartitionQueue } from "../../../connectors/kafka/sink/partition-queue.ts";
import type { RecordProducer } from "../../../connectors/kafka/sink/record-producer.ts";
import type { Restored } from "../../../checkpoint/store/restored.ts";
import { keyGroupRange } from "../../../plan/key-groups.ts";
import { ChangelogEncoder, type TakeRecord } from "../changelog/changelog-codec.ts";
import { restoredGeneration } from "../changelog/changelog-copy.ts";
import type { ChangelogFollower } from "../changelog/changelog-follower.ts";
import type { TaskHost, TaskPlace } from "../task/task-host.ts";

export interface ChangelogFill {
  readonly producer: RecordProducer;
  queue(topic: string): PartitionQueue;
  /** Makes what was appended permanent. */
  commit(): Promise<void>;
}

/** By the producer of the task, in transactions of its own where it has them. */
export function changelogFill(
  producer: RecordProducer,
  transactionalId: string | null,
  partition: number,
  client: KafkaClient,
): ChangelogFill {
  return {
    producer,
    queue: (topic) => producer.queue(topic, partition),
    async commit() {
      await producer.flush();
      if (transactionalId === null || producer.identity === undefined || !producer.hasPartitions) return;
      await client.endTransaction({ transactionalId, ...producer.identity }, true);
      producer.transactionEnded();
    },
  };
}

/** Of one transaction: a restore of much state must not outlive the transaction's timeout, nor hold it all in memory. */
const commitBytes = 4 * 1024 * 1024;
const lookAgainMs = 20;
const noHeaders: readonly [] = [];
const nothing = new Uint8Array(0);

/**
 * True when it wrote something: then the followers have more to read. A changelog that holds the savepoint says so in a last record; one
 * that does not is written again from the beginning, so it does not matter where an earlier try was killed. Nobody processes anything
 * before, and no two tasks write the same partition: whoever opens a task has fenced its earlier owner.
 */
export async function fillFromSavepoint(
  host: TaskHost,
  place: TaskPlace,
  followers: ReadonlyMap<string, ChangelogFollower>,
  fill: ChangelogFill,
  signal: AbortSignal,
): Promise<boolean> {
  const { restored } = host;
  if (restored === undefined) return false;
  const missing = [...followers].filter(([, { copy }]) => restoredGeneration(copy) !== restored.generation);
  if (missing.length === 0) return false;
  const snapshot = await restored.open();
  for (const [uid, follower] of missing) await fillOne(host, place, uid, follower, snapshot, restored.generation, fill, signal);
  return true;
}

/**
 * Reads until the copies hold what was filled. A transaction's outcome is certain before readers see it, so the end of a changelog may for
 * a moment still be where it was before; the last record of the filling tells.
 */
export async function readFilled(
  { restored }: TaskHost,
  followers: ReadonlyMap<string, ChangelogFollower>,
  read: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    await read();
    if ([...followers.values()].every(({ copy }) => restoredGeneration(copy) === restored?.generation)) return;
    signal.throwIfAborted();
    await pause(lookAgainMs);
  }
}

async function fillOne(
  host: TaskHost,
  { subTopology, partition }: TaskPlace,
  uid: string,
  { topic, copy }: ChangelogFollower,
  snapshot: Restored,
  generation: number,
  { producer, queue, commit }: ChangelogFill,
  signal: AbortSignal,
): Promise<void> {
  const { clock, maxParallelism } = host;
  const to = queue(topic);
  let pendingBytes = 0;
  const append = (key: Uint8Array, keyLength: number, value: Uint8Array | null, valueLength: number): void => {
    producer.append(to, clock.now(), key, 0, keyLength, value ?? nothing, value === null ? -1 : 0, valueLength, noHeaders);
    pendingBytes += keyLength + valueLength;
  };
  const take: TakeRecord = (key, value) => append(key.buffer, key.length, value?.buffer ?? null, value?.length ?? 0);
  const room = async (): Promise<void> => {
    signal.throwIfAborted();
    if (pendingBytes < commitBytes) return;
    pendingBytes = 0;
    await commit();
  };
  // What an earlier life of the application left, and what an earlier try wrote.
  for (const [key] of copy.records()) {
    append(key, key.length, null, 0);
    await room();
  }
  const parallelism = host.counts[subTopology.id] as number;
  const encoder = new ChangelogEncoder();
  const stored = snapshot.keyedState(uid, keyGroupRange(partition, parallelism, maxParallelism));
  for await (const block of stored?.blocks() ?? []) {
    encoder.stored(block, take);
    await room();
  }
  for (const { name, redistribution } of snapshot.manifest.operators[uid]?.lists ?? []) {
    const entries = snapshot.operatorState(uid, name, partition, parallelism);
    encoder.list({ name, redistribution, entries }, take);
    await room();
  }
  encoder.restored(generation, take);
  await commit();
}
