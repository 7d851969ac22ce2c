// Begins an application anew from a savepoint, of its own or of a job of another shape: one transaction moves all of its offsets.
import { openSnapshot } from "../../../checkpoint/store/open-snapshot.ts";
import { CheckpointStore } from "../../../checkpoint/store/checkpoint-store.ts";
import { checkRestore } from "../../../checkpoint/store/restore-check.ts";
import type { Restored } from "../../../checkpoint/store/restored.ts";
import type { StorageOptions } from "../../../checkpoint/storage/open-storage.ts";
import { isMillraceError, MillraceError } from "../../../base/errors.ts";
import type { KafkaClient } from "../../../connectors/kafka/client/kafka-client.ts";
import { sleep } from "../../../connectors/kafka/client/retry.ts";
import { BufferBudget } from "../../../connectors/kafka/sink/buffer-budget.ts";
import { type ProducerOptions, RecordProducer } from "../../../connectors/kafka/sink/record-producer.ts";
import { isKafkaSource } from "../../../connectors/kafka/source/kafka-source.ts";
import { PartitionEnumerator } from "../../../connectors/kafka/source/partition-enumerator.ts";
import { partitionSplit } from "../../../connectors/kafka/source/split-position.ts";
import type { GroupOffset } from "../../../connectors/kafka/wire/offset-apis.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";
import { inFlightName } from "../../task/in-flight.ts";
import type { AppPlan } from "../app-plan.ts";
import type { CompleteConfig } from "../config.ts";
import { appendControl, type ControlLog, controlTopic } from "../control/control-log.ts";
import type { Origin } from "../control/control-state.ts";
import { encodeTimes } from "../task/event-times.ts";

export interface RestoreParts {
  readonly applicationId: string;
  readonly dataflow: Dataflow;
  readonly plan: AppPlan;
  readonly config: CompleteConfig;
  readonly client: KafkaClient;
  readonly control: ControlLog;
  readonly producer: ProducerOptions;
}

export interface RestoreRequest {
  readonly location: string;
  readonly restoreId: string;
}

/** Reads a savepoint; whoever calls closes it. */
export async function openRestored(
  location: string,
  options: StorageOptions,
): Promise<{ readonly restored: Restored; readonly close: () => Promise<void> }> {
  const ref = await openSnapshot(location, options);
  try {
    const store = CheckpointStore.open({ storage: ref.storage, jobName: "restore", jobId: "restore", planFingerprint: "" });
    return { restored: await store.load(ref), close: () => ref.storage.close() };
  } catch (error) {
    await ref.storage.close();
    throw error;
  }
}

const fencedAtOnce = 16;
const pauseMs = 300;

/**
 * Does nothing when the application was restored under this id already. Else every task's transactional id is taken over, so that no process
 * of before can commit anything any more; then one transaction commits the savepoint's positions as the group's offsets, the ends of the
 * repartition topics (what is in them belongs to before), and the record that says so. A process that dies on the way changes nothing, and
 * one that does the same meanwhile fences this one or is fenced by it. Tasks fill their changelogs when they are opened.
 * Rejects with EMBEDDED_RUNNING, EMBEDDED_IN_FLIGHT, SAVEPOINT_UID_UNUSED, SAVEPOINT_KIND_MISMATCH, SAVEPOINT_MAX_PARALLELISM,
 * SNAPSHOT_MISSING or a storage error.
 */
export async function restoreApplication(parts: RestoreParts, { location, restoreId }: RestoreRequest): Promise<void> {
  const { control, config, client, applicationId } = parts;
  const isDone = (): boolean => control.state.origin?.restoreId === restoreId;
  if (isDone()) return;
  const { restored, close } = await openRestored(location, config.storageOptions);
  try {
    check(parts, restored);
    for (;;) {
      const { members } = await client.describeGroup(applicationId);
      await control.catchUp();
      if (isDone()) return;
      if (members.length > 0) throw stillRunning(applicationId, members.length);
      try {
        await begin(parts, restored, { location: restored.url, restoreId });
      } catch (error) {
        if (!isMillraceError(error, "KAFKA_FENCED")) throw error;
        // Another process restores too: it has done it, or it is this one's turn again.
        await sleep(config.clock, pauseMs * (1 + config.random()));
      }
      await control.catchUp();
      if (isDone()) return;
    }
  } finally {
    await close();
  }
}

function check({ dataflow, config }: RestoreParts, restored: Restored): void {
  const { allowNonRestoredState, maxParallelism } = config;
  const nodes = dataflow.nodes.map(({ uid, kind }) => ({ uid, kind }));
  checkRestore(restored.manifest, nodes, { allowNonRestoredState, maxParallelism }, restored.url);
  for (const [uid, { lists }] of Object.entries(restored.manifest.operators)) {
    if (!lists.some(({ name, parts }) => name === inFlightName && parts.some((part) => part.entryCount > 0))) continue;
    throw new MillraceError(
      "EMBEDDED_IN_FLIGHT",
      restored.url,
      `it holds rows on their way to "${uid}", as an unaligned checkpoint does`,
      "take the savepoint again under less load, or with a longer alignment timeout",
    );
  }
}

async function begin(parts: RestoreParts, restored: Restored, request: RestoreRequest): Promise<void> {
  const { applicationId, client, config, control, plan, producer: options } = parts;
  const { clock, log, random, transactionTimeoutMs } = config;
  const transactionalId = `${applicationId}-control`;
  const identity = await client.initProducerId(transactionalId, transactionTimeoutMs);
  // From here on a second process that restores fences this one; so what the first one has done is seen first.
  await control.catchUp();
  if (control.state.origin?.restoreId === request.restoreId) return;
  await finishCommits(parts, restored);
  const ids = config.exactlyOnce ? [...plan.places.keys()].map((id) => `${applicationId}-${id}`) : [];
  for (let from = 0; from < ids.length; from += fencedAtOnce)
    await Promise.all(ids.slice(from, from + fencedAtOnce).map((id) => client.initProducerId(id, transactionTimeoutMs)));
  const offsets = [...(await sourceOffsets(parts, restored)), ...(await repartitionOffsets(parts, restored))];
  const origin: Origin = {
    generation: (control.state.origin?.generation ?? 0) + 1,
    checkpointId: restored.checkpointId,
    ...request,
  };
  const budget = new BufferBudget(Number.POSITIVE_INFINITY);
  const producer = new RecordProducer(transactionalId, options, { client, clock, log, random, budget });
  try {
    producer.start(identity);
    appendControl(producer, controlTopic(applicationId), { kind: "origin", ...origin }, clock.now());
    await producer.flush();
    const owner = { transactionalId, ...identity };
    await client.commitOffsetsInTransaction(owner, applicationId, offsets);
    await client.endTransaction(owner, true);
  } finally {
    await producer.close();
  }
  // What the transaction committed is certain to be seen by whoever reads offsets from now on.
  await client.initProducerId(transactionalId, transactionTimeoutMs);
  log.info("the application begins from a savepoint", { location: request.location, generation: origin.generation });
}

// A job that stopped between its savepoint and the commit of its output left that to whoever starts from it.
async function finishCommits({ dataflow, config }: RestoreParts, restored: Restored): Promise<void> {
  if (restored.committed) return;
  for (const node of dataflow.nodes) {
    const states = node.body.kind === "sink" ? restored.sinkStates(node.uid) : undefined;
    if (states === undefined || node.body.kind !== "sink") continue;
    const writer = await node.body.sink.openWriter(
      {
        jobName: restored.manifest.jobName,
        uid: node.uid,
        subtask: 0,
        parallelism: 1,
        clock: config.clock,
        log: config.log,
        checkpointIntervalMs: config.commitIntervalMs,
        restored: { checkpointId: restored.checkpointId, committed: false, states },
      },
      node.schema,
    );
    await writer.close();
  }
}

const timesOf = (watermarkMs: number, many: number): string =>
  Number.isFinite(watermarkMs) ? encodeTimes(Array.from({ length: many }, () => ({ watermarkMs, idle: false }))) : "";

async function sourceOffsets({ dataflow, client }: RestoreParts, restored: Restored): Promise<readonly GroupOffset[]> {
  const offsets: GroupOffset[] = [];
  for (const { uid, body } of dataflow.nodes) {
    // A global table is read whole by each process: the group has no offsets of it.
    if (body.kind !== "source" || body.table !== undefined || !isKafkaSource(body.source)) continue;
    const { kafka } = body.source;
    const known = restored.source(uid)?.splits ?? [];
    for (const { split, watermarkMs } of known) {
      const { topic, partition, offset, leaderEpoch } = partitionSplit(split, uid);
      if (kafka.topics.includes(topic)) offsets.push({ topic, partition, offset, leaderEpoch, metadata: timesOf(watermarkMs, 1) });
    }
    // Partitions that the savepoint does not know begin as they would have begun without it.
    for (const split of await new PartitionEnumerator(kafka, client).discover(new Set(known.map(({ split: { id } }) => id)))) {
      const { topic, partition, offset, leaderEpoch } = partitionSplit(split, uid);
      offsets.push({ topic, partition, offset, leaderEpoch, metadata: "" });
    }
  }
  return offsets;
}

async function repartitionOffsets({ plan, client }: RestoreParts, restored: Restored): Promise<readonly GroupOffset[]> {
  const offsets: GroupOffset[] = [];
  for (const { topic, consumer, from, to } of plan.topology.edges) {
    const all = Array.from({ length: plan.counts[to] as number }, (_, partition) => ({ topic, partition, at: "latest" as const }));
    // All upstream tasks had come as far as the operator had when the cut was made.
    const metadata = timesOf(restored.watermarkMs(consumer.uid), plan.counts[from] as number);
    for (const { partition, offset } of await client.listOffsets(all, "read_committed"))
      offsets.push({ topic, partition, offset, leaderEpoch: -1, metadata });
  }
  return offsets;
}

function stillRunning(applicationId: string, members: number): MillraceError {
  return new MillraceError(
    "EMBEDDED_RUNNING",
    `application ${applicationId}`,
    `has ${members} processes that run, which did not begin from this savepoint`,
    "stop them first: with a savepoint of mode stop they leave at once, else an instance counts until its session has ended",
  );
}
