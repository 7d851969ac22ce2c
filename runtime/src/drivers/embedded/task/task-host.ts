// What the tasks of a process share.
import type { Clock } from "../../../base/clock.ts";
import type { Log } from "../../../base/log.ts";
import type { RateLimit } from "../../../base/rate-limit.ts";
import type { KafkaClient } from "../../../connectors/kafka/client/kafka-client.ts";
import type { ProducerOptions } from "../../../connectors/kafka/sink/record-producer.ts";
import type { Fetcher } from "../../../connectors/kafka/source/fetcher.ts";
import type { Isolation } from "../../../connectors/kafka/wire/offset-apis.ts";
import type { GroupMember } from "../../../connectors/kafka/wire/offset-apis.ts";
import type { StateBackendFactory } from "../../../core/ports/state-backend.ts";
import type { BadRowOptions } from "../../task/bad-row-policy.ts";
import type { ChangelogCopy } from "../changelog/changelog-copy.ts";
import type { Restored } from "../../../checkpoint/store/restored.ts";
import type { GlobalTables } from "../global/global-tables.ts";
import type { LetterTopic } from "./letter-sink.ts";
import type { SubTopology } from "../topology/sub-topologies.ts";

export interface TaskHost {
  readonly applicationId: string;
  readonly client: KafkaClient;
  /** Reads what tasks process. */
  readonly fetcher: Fetcher;
  /** Reads changelogs, over connections of its own: a restore keeps nothing else waiting. */
  readonly restoreFetcher: Fetcher;
  readonly clock: Clock;
  readonly log: Log;
  readonly random: () => number;
  readonly exactlyOnce: boolean;
  /** How far the application's own topics are read. */
  readonly isolation: Isolation;
  readonly maxParallelism: number;
  /** The number of tasks of each sub-topology. */
  readonly counts: readonly number[];
  readonly stateBackend: StateBackendFactory;
  /** A folder of this process's own for state on disk. */
  readonly directory: string;
  /** A copy of a changelog partition, with what is known of it already. */
  copyOf(topic: string, partition: number): ChangelogCopy;
  /** Tables that the process holds whole for all of its tasks. */
  readonly globalTables: GlobalTables;
  /** How fast changelogs are read, bytes per second of all restores and standbys together. */
  readonly restoreLimit: RateLimit;
  /** True when copies outlive the process: then a task that runs keeps its own up to date. */
  readonly keepsCopies: boolean;
  readonly commitIntervalMs: number;
  readonly transactionTimeoutMs: number;
  readonly producer: ProducerOptions;
  readonly maxBufferedBytes: number;
  readonly badRows: BadRowOptions;
  /** True when records that a broker would refuse are dead letters. */
  readonly putsRefusedAside: boolean;
  /** What the application was restored from, where it was: its changelogs are filled from there before their tasks run. */
  readonly restored: RestoredOrigin | undefined;
  /** Where records go that cannot be processed; undefined for the log. */
  readonly letters: LetterTopic | undefined;
  /** As whom to commit offsets without a transaction. */
  member(): GroupMember;
  /** Something may be to do. */
  wake(): void;
}

/** A savepoint that an application began from. */
export interface RestoredOrigin {
  readonly generation: number;
  /** Opens it, once for all tasks that need it. */
  open(): Promise<Restored>;
}

/** A task by its place in the topology. */
export interface TaskPlace {
  readonly id: string;
  readonly subTopology: SubTopology;
  readonly partition: number;
}
