// The AppClient and TopicClient ports: what the operator asks of the pods of an EmbeddedStreamApp, and of Kafka about its topics.
import type { SavepointReport } from "./job-client.ts";

export interface AppReport {
  readonly state: string;
  /** It has all the tasks that the group gave it, and they run. */
  readonly ready: boolean;
  /** Of the whole application. */
  readonly totalTasks: number | undefined;
  readonly tasks: number;
  readonly restoringTasks: number;
  /** Records that wait for its tasks; undefined while that is not known. */
  readonly lag: number | undefined;
}

export interface AppAddress {
  readonly app: string;
  readonly pod: string;
  /** `http://host:port` */
  readonly url: string;
  readonly token: string;
}

/** Rejects with JobClientError only. */
export interface AppClient {
  report(address: AppAddress): Promise<AppReport>;
  /** Ends all processes of the application with a savepoint. Idempotent by id, at any pod. */
  stopWithSavepoint(address: AppAddress, id: string): Promise<SavepointReport>;
}

export interface TopicAccess {
  /** The app's: names of brokers are written as its pods say them. */
  readonly namespace: string;
  readonly brokers: readonly string[];
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string } | undefined;
  readonly sasl: { readonly mechanism: string; readonly username: string; readonly password: string } | undefined;
}

export interface TopicReport {
  /** Of all the topics together. */
  readonly partitions: number;
  /** The most that one of them has. */
  readonly mostPartitions: number;
  /** Records that the group has not read yet. */
  readonly lag: number;
}

export interface TopicClient {
  /** Rejects with what is wrong; asks again are cheap. */
  look(access: TopicAccess, group: string, topics: readonly string[]): Promise<TopicReport>;
}
