// What went wrong at Kafka, sorted by what to do about it; and the coded error that a person gets when nothing can be done.
import { MillraceError } from "../../../base/errors.ts";

/**
 * `network`: the connection broke or a deadline passed: connect again. `retry`: the same request may succeed later.
 * `leader`: ask for metadata first. `coordinator`: look for the coordinator first. `fenced`: a newer producer has taken over.
 * `fatal`: the request will never succeed.
 */
export type ProblemKind = "network" | "retry" | "leader" | "coordinator" | "fenced" | "fatal";

/** Kafka's numeric error codes that the code here decides by. */
export const kafkaCode = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  messageTooLarge: 10,
  topicAlreadyExists: 36,
  outOfOrderSequence: 45,
  duplicateSequence: 46,
  illegalGeneration: 22,
  unknownMember: 25,
  rebalanceInProgress: 27,
  memberIdRequired: 79,
  fencedInstance: 82,
  groupNotFound: 69,
  invalidTransactionState: 48,
  unsupportedVersion: 35,
  concurrentTransactions: 51,
} as const;

interface CodeEntry {
  readonly name: string;
  readonly kind: ProblemKind;
}

const entries: readonly (readonly [code: number, name: string, kind: ProblemKind])[] = [
  [-1, "UNKNOWN_SERVER_ERROR", "retry"],
  [1, "OFFSET_OUT_OF_RANGE", "fatal"],
  [2, "CORRUPT_MESSAGE", "retry"],
  [3, "UNKNOWN_TOPIC_OR_PARTITION", "leader"],
  [5, "LEADER_NOT_AVAILABLE", "leader"],
  [6, "NOT_LEADER_OR_FOLLOWER", "leader"],
  [7, "REQUEST_TIMED_OUT", "retry"],
  [8, "BROKER_NOT_AVAILABLE", "leader"],
  [9, "REPLICA_NOT_AVAILABLE", "leader"],
  [10, "MESSAGE_TOO_LARGE", "fatal"],
  [13, "NETWORK_EXCEPTION", "retry"],
  [14, "COORDINATOR_LOAD_IN_PROGRESS", "retry"],
  [15, "COORDINATOR_NOT_AVAILABLE", "coordinator"],
  [16, "NOT_COORDINATOR", "coordinator"],
  [17, "INVALID_TOPIC", "fatal"],
  [18, "RECORD_LIST_TOO_LARGE", "fatal"],
  [19, "NOT_ENOUGH_REPLICAS", "retry"],
  [20, "NOT_ENOUGH_REPLICAS_AFTER_APPEND", "retry"],
  [22, "ILLEGAL_GENERATION", "fenced"],
  [23, "INCONSISTENT_GROUP_PROTOCOL", "fatal"],
  [24, "INVALID_GROUP_ID", "fatal"],
  [25, "UNKNOWN_MEMBER_ID", "fenced"],
  [26, "INVALID_SESSION_TIMEOUT", "fatal"],
  [27, "REBALANCE_IN_PROGRESS", "retry"],
  [29, "TOPIC_AUTHORIZATION_FAILED", "fatal"],
  [30, "GROUP_AUTHORIZATION_FAILED", "fatal"],
  [31, "CLUSTER_AUTHORIZATION_FAILED", "fatal"],
  [32, "INVALID_TIMESTAMP", "fatal"],
  [33, "UNSUPPORTED_SASL_MECHANISM", "fatal"],
  [34, "ILLEGAL_SASL_STATE", "fatal"],
  [35, "UNSUPPORTED_VERSION", "fatal"],
  [36, "TOPIC_ALREADY_EXISTS", "fatal"],
  [37, "INVALID_PARTITIONS", "fatal"],
  [38, "INVALID_REPLICATION_FACTOR", "fatal"],
  [41, "NOT_CONTROLLER", "leader"],
  [45, "OUT_OF_ORDER_SEQUENCE_NUMBER", "fatal"],
  [46, "DUPLICATE_SEQUENCE_NUMBER", "fatal"],
  [47, "INVALID_PRODUCER_EPOCH", "fenced"],
  [48, "INVALID_TXN_STATE", "fatal"],
  [49, "INVALID_PRODUCER_ID_MAPPING", "fenced"],
  [50, "INVALID_TRANSACTION_TIMEOUT", "fatal"],
  [51, "CONCURRENT_TRANSACTIONS", "retry"],
  [52, "TRANSACTION_COORDINATOR_FENCED", "coordinator"],
  [53, "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "fatal"],
  [56, "KAFKA_STORAGE_ERROR", "leader"],
  [58, "SASL_AUTHENTICATION_FAILED", "fatal"],
  [59, "UNKNOWN_PRODUCER_ID", "fenced"],
  [68, "NON_EMPTY_GROUP", "fatal"],
  [69, "GROUP_ID_NOT_FOUND", "fatal"],
  [72, "LISTENER_NOT_FOUND", "leader"],
  [74, "FENCED_LEADER_EPOCH", "leader"],
  [75, "UNKNOWN_LEADER_EPOCH", "leader"],
  [78, "OFFSET_NOT_AVAILABLE", "leader"],
  [79, "MEMBER_ID_REQUIRED", "retry"],
  [81, "GROUP_MAX_SIZE_REACHED", "fatal"],
  [82, "FENCED_INSTANCE_ID", "fenced"],
  [87, "INVALID_RECORD", "fatal"],
  [88, "UNSTABLE_OFFSET_COMMIT", "retry"],
  [89, "THROTTLING_QUOTA_EXCEEDED", "retry"],
  [90, "PRODUCER_FENCED", "fenced"],
  [100, "UNKNOWN_TOPIC_ID", "leader"],
  [103, "INCONSISTENT_TOPIC_ID", "leader"],
  [105, "TRANSACTIONAL_ID_NOT_FOUND", "fatal"],
  [120, "TRANSACTION_ABORTABLE", "fatal"],
];
const byCode: ReadonlyMap<number, CodeEntry> = new Map(entries.map(([code, name, kind]) => [code, { name, kind }]));

/** A failed exchange with a broker. Inside of this folder only: what leaves it is a `MillraceError`. */
export class KafkaProblem extends Error {
  readonly kind: ProblemKind;
  /** Kafka's numeric code; undefined for a broken connection. */
  readonly kafkaCode: number | undefined;

  constructor(kind: ProblemKind, message: string, options?: { readonly kafkaCode?: number; readonly cause?: unknown }) {
    super(message, { cause: options?.cause });
    this.name = "KafkaProblem";
    this.kind = kind;
    this.kafkaCode = options?.kafkaCode;
  }
}

/** The problem that a broker's error code stands for; `what` says which request met it. */
export function problemOf(code: number, what: string, detail?: string | null): KafkaProblem {
  const entry = byCode.get(code) ?? { name: `error ${code}`, kind: "fatal" };
  return new KafkaProblem(entry.kind, `${what}: ${entry.name}${detail ? ` (${detail})` : ""}`, { kafkaCode: code });
}

/** What to do about a code, without an object for it. */
export function kindOfCode(code: number): ProblemKind {
  return byCode.get(code)?.kind ?? "fatal";
}

/** Throws unless `code` is 0. */
export function throwOnCode(code: number, what: string, detail?: string | null): void {
  if (code !== kafkaCode.none) throw problemOf(code, what, detail);
}

interface PersonFacing {
  readonly code: string;
  readonly next: string;
}

const authorization: PersonFacing = {
  code: "KAFKA_NOT_AUTHORIZED",
  next: "grant this user the access with kafka-acls, or use another user",
};
const authentication: PersonFacing = { code: "KAFKA_AUTH_FAILED", next: "check the SASL mechanism, the user and the password" };
const tooLarge: PersonFacing = {
  code: "KAFKA_RECORD_TOO_LARGE",
  next: "raise the topic's max.message.bytes, or lower batchBytes or the size of records",
};
const transactionLost: PersonFacing = {
  code: "KAFKA_TRANSACTION_LOST",
  next: "the job goes on from its last checkpoint; if it repeats, raise transactionTimeoutMs above the longest time between two checkpoints",
};
const personFacing: ReadonlyMap<number, PersonFacing> = new Map([
  [1, { code: "KAFKA_OFFSET_OUT_OF_RANGE", next: "set onOffsetOutOfRange to earliest or latest, or start from a newer savepoint" }],
  [3, { code: "KAFKA_TOPIC_MISSING", next: "create the topic, or correct its name" }],
  [10, tooLarge],
  [17, { code: "KAFKA_TOPIC_INVALID", next: "use letters, digits, '.', '_' and '-' only" }],
  [18, tooLarge],
  [23, { code: "KAFKA_GROUP_CONFLICT", next: "give this application another id, or stop what uses the same group with another protocol" }],
  [
    26,
    {
      code: "KAFKA_SESSION_TIMEOUT",
      next: "choose a session timeout between the broker's group.min.session.timeout.ms and group.max.session.timeout.ms",
    },
  ],
  [29, authorization],
  [30, authorization],
  [31, authorization],
  [
    32,
    {
      code: "KAFKA_TIMESTAMP_REFUSED",
      next: "set the sink's timestamp to \"now\", or the topic's message.timestamp.after.max.ms above how far event time is ahead of the clock",
    },
  ],
  [33, authentication],
  [34, authentication],
  [35, { code: "KAFKA_BROKER_UNSUPPORTED", next: "use Kafka 3.0 or newer" }],
  [48, transactionLost],
  [49, transactionLost],
  [50, { code: "KAFKA_TRANSACTION_TIMEOUT", next: "lower transactionTimeoutMs to the broker's transaction.max.timeout.ms, or raise that" }],
  [53, authorization],
  [68, { code: "KAFKA_GROUP_IN_USE", next: "stop all of its members first" }],
  [82, { code: "KAFKA_INSTANCE_FENCED", next: "give every process an instance id of its own" }],
  [58, authentication],
  [59, transactionLost],
  [120, transactionLost],
]);

const fenced: PersonFacing = {
  code: "KAFKA_FENCED",
  next: "nothing if another instance has taken over; else raise transactionTimeoutMs above the longest time between two checkpoints",
};
const unreachable: PersonFacing = {
  code: "KAFKA_BROKER_UNREACHABLE",
  next: "check bootstrapServers, the broker's advertised.listeners, and whether the listener wants TLS",
};
const failed: PersonFacing = { code: "KAFKA_REQUEST_FAILED", next: "look into the broker's log" };

/** The error for a person: `subject` is what they configured (a topic, a transactional id, the bootstrap servers). */
export function toMillraceError(problem: unknown, subject: string): MillraceError {
  if (problem instanceof MillraceError) return problem;
  if (!(problem instanceof KafkaProblem)) throw problem;
  const known = problem.kafkaCode === undefined ? undefined : personFacing.get(problem.kafkaCode);
  const facing = known ?? (problem.kind === "fenced" ? fenced : problem.kind === "network" ? unreachable : failed);
  return new MillraceError(facing.code, subject, problem.message, facing.next, { cause: problem });
}
