// What an exactly-once sink instance does before it writes: takes over the transactional ids of its share, and sends again what a restored checkpoint did not commit.
import type { Clock } from "../../../base/clock.ts";
import { MillraceError } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { SinkContext } from "../../../core/ports/sink.ts";
import type { KafkaClient } from "../client/kafka-client.ts";
import type { ProducerIdentity } from "../wire/transaction-apis.ts";
import { BufferBudget } from "./buffer-budget.ts";
import { type CommitHistory, markerGroup, markerOffset, readHistory } from "./commit-marker.ts";
import { RecordProducer } from "./record-producer.ts";
import type { KafkaSinkConfig } from "./sink-options.ts";
import { decodeWriteAhead, type AheadEpoch, type WriteAhead } from "./write-ahead.ts";

export interface RecoveryParts {
  readonly client: KafkaClient;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly config: KafkaSinkConfig;
  readonly context: SinkContext;
  readonly prefix: string;
}

export interface Recovered {
  /** The identities of this instance's first transactional ids, by slot. */
  readonly identities: readonly ProducerIdentity[];
  /** What this instance's marker says. */
  readonly history: CommitHistory;
}

/** Transactional ids that an instance begins with; it takes more when commits come late. */
export const firstSlots = 2;
/** Brokers keep committed offsets for seven days by default (offsets.retention.minutes); a marker may be gone after that. */
const markerRetentionMs = 6 * 24 * 3_600_000;

export function transactionalIdOf(prefix: string, subtask: number, slot: number): string {
  return `${prefix}.${subtask}.${slot}`;
}

interface Slot {
  readonly subtask: number;
  readonly slot: number;
}

/**
 * Every id of an earlier run is taken over by exactly one instance: the one whose number is its own modulo the parallelism. So a
 * run of another parallelism is cleaned up whole, and no two instances fence each other.
 */
export async function recover(parts: RecoveryParts): Promise<Recovered> {
  const { client, config, context, prefix } = parts;
  const isMine = (subtask: number): boolean => subtask % context.parallelism === context.subtask;
  const states = (context.restored?.states ?? [])
    .map((state) => decodeWriteAhead(state, context.uid))
    .filter((state) => state !== undefined);
  const mine = states.filter((state) => isMine(state.subtask));
  const known = (await client.listTransactions()).map((each) => slotOf(each.transactionalId, prefix)).filter((each) => each !== undefined);
  const own = Array.from({ length: firstSlots }, (_, slot) => ({ subtask: context.subtask, slot }));
  const stored = mine.flatMap(({ subtask, slots }) => Array.from({ length: slots }, (_, slot) => ({ subtask, slot })));
  const identities = new Map<string, ProducerIdentity>();
  const takeOver = async ({ subtask, slot }: Slot): Promise<void> => {
    const id = transactionalIdOf(prefix, subtask, slot);
    identities.set(id, await client.initProducerId(id, config.transactionTimeoutMs));
  };
  const wanted = new Map(
    [...own, ...stored, ...known.filter((each) => isMine(each.subtask))].map((each) => [
      transactionalIdOf(prefix, each.subtask, each.slot),
      each,
    ]),
  );
  await Promise.all([...wanted.values()].map(takeOver));
  // Only now is it certain what the earlier owners have committed: they can commit nothing more.
  if (context.restored !== undefined && !context.restored.committed) {
    for (const state of mine) await finishCommit(parts, state, identities, takeOver);
  }
  return {
    identities: own.map(({ subtask, slot }) => identities.get(transactionalIdOf(prefix, subtask, slot)) as ProducerIdentity),
    history: readHistory(await client.groupOffsets(markerGroup(prefix, context.subtask))),
  };
}

async function finishCommit(
  parts: RecoveryParts,
  state: WriteAhead,
  identities: ReadonlyMap<string, ProducerIdentity>,
  takeOver: (slot: Slot) => Promise<void>,
): Promise<void> {
  const { client, log, prefix } = parts;
  const history = readHistory(await client.groupOffsets(markerGroup(prefix, state.subtask)));
  const committed = history.get(state.life) ?? -1;
  const missing = state.epochs.filter((epoch) => epoch.checkpointId > committed);
  if (missing.length === 0 || !mayResend(parts, state, history)) return;
  const transactionalId = transactionalIdOf(prefix, state.subtask, 0);
  await sendAgain(parts, transactionalId, identities.get(transactionalId) as ProducerIdentity, state, missing, history);
  log.info("uncommitted output sent again", { transactionalId, checkpointId: missing.at(-1)?.checkpointId, epochCount: missing.length });
  // Sequences begin anew with a new epoch: whoever writes under this id next needs not know how far this has come.
  await takeOver({ subtask: state.subtask, slot: 0 });
}

// Whether output without a marker was certainly not committed.
function mayResend({ clock, config, context }: RecoveryParts, state: WriteAhead, history: CommitHistory): boolean {
  const isCertain = history.has(state.life) || clock.now() - state.writtenAtMs < markerRetentionMs;
  if (isCertain || config.onUnknownCommit === "resend") return true;
  if (config.onUnknownCommit === "skip") return false;
  throw new MillraceError(
    "KAFKA_COMMIT_UNKNOWN",
    `kafka sink ${context.uid}`,
    `the snapshot of checkpoint ${context.restored?.checkpointId} does not say whether its output was committed, and Kafka has forgotten it`,
    "look whether the topic has that output, then set onUnknownCommit to skip if it has, or to resend if it has not",
  );
}

async function sendAgain(
  parts: RecoveryParts,
  transactionalId: string,
  identity: ProducerIdentity,
  state: WriteAhead,
  epochs: readonly AheadEpoch[],
  history: CommitHistory,
): Promise<void> {
  const { client, clock, log, random, config, prefix } = parts;
  const budget = new BufferBudget(Number.POSITIVE_INFINITY);
  const producer = new RecordProducer(transactionalId, config.producer, { client, clock, log, random, budget });
  producer.start(identity);
  for (const epoch of epochs) for (const { topic, partition, bytes } of epoch.batches) producer.resend(topic, partition, bytes);
  await producer.flush();
  const last = epochs.at(-1) as AheadEpoch;
  const topic = last.batches[0]?.topic ?? "";
  const owner = { transactionalId, ...identity };
  await client.commitOffsetsInTransaction(owner, markerGroup(prefix, state.subtask), [
    markerOffset(topic, state.life, last.checkpointId, history),
  ]);
  await client.endTransaction(owner, true);
  await producer.close();
}

function slotOf(transactionalId: string, prefix: string): Slot | undefined {
  if (!transactionalId.startsWith(`${prefix}.`)) return undefined;
  const match = /^(\d{1,9})\.(\d{1,4})$/.exec(transactionalId.slice(prefix.length + 1));
  return match === null ? undefined : { subtask: Number(match[1]), slot: Number(match[2]) };
}
