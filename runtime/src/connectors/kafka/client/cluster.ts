// What is known of a cluster, its brokers, leaders and coordinators, and the connections to them.
import type { Clock } from "../../../base/clock.ts";
import type { BrokerAddress, ClientOptions } from "./client-options.ts";
import type { CoordinatorKind, MetadataResponse, MetadataTopic } from "../wire/metadata-apis.ts";
import { findCoordinatorApi, metadataApi } from "../wire/metadata-apis.ts";
import { Connection } from "./connection.ts";
import type { FramePool } from "./frames.ts";
import { KafkaProblem, throwOnCode } from "./kafka-problem.ts";
import type { PartitionInfo } from "./kafka-client.ts";

/**
 * A broker answers the requests of one connection one after the other, so what may wait has a connection of its own: fetches
 * wait for records, produces for replicas, joins of a group for its other members.
 */
export type Purpose = "control" | "fetch-0" | "fetch-1" | "produce" | "group";

const seedKey = "seed";

export class Cluster {
  readonly #options: ClientOptions;
  readonly #clock: Clock;
  readonly #pool: FramePool;
  readonly #random: () => number;
  readonly #connections = new Map<string, Promise<Connection>>();
  readonly #brokers = new Map<number, BrokerAddress>();
  readonly #leaders = new Map<string, PartitionInfo>();
  readonly #coordinators = new Map<string, number>();
  #controllerId = -1;
  #closed = false;

  constructor(options: ClientOptions, clock: Clock, pool: FramePool, random: () => number) {
    this.#options = options;
    this.#clock = clock;
    this.#pool = pool;
    this.#random = random;
  }

  get brokerIds(): readonly number[] {
    return [...this.#brokers.keys()];
  }

  get controllerId(): number {
    return this.#controllerId;
  }

  leaderOf(topic: string, partition: number): PartitionInfo | undefined {
    return this.#leaders.get(`${topic}/${partition}`);
  }

  /** A connection to a broker, opened when there is none. */
  async connection(nodeId: number, purpose: Purpose): Promise<Connection> {
    const address = this.#brokers.get(nodeId);
    if (address === undefined) throw new KafkaProblem("leader", `broker ${nodeId} is not in the cluster's metadata`);
    return this.#open(`${nodeId}/${purpose}`, address);
  }

  /** A connection to any broker that answers: a known one, else a bootstrap server. */
  async anyConnection(): Promise<Connection> {
    const seed = this.#connections.get(seedKey);
    if (seed !== undefined) {
      const connection = await seed.catch(() => undefined);
      if (connection?.usable) return connection;
      this.#connections.delete(seedKey);
    }
    const known = [...this.#brokers.values()];
    const start = Math.floor(this.#random() * known.length);
    const candidates = [...known.slice(start), ...known.slice(0, start), ...this.#options.bootstrap];
    const problems: string[] = [];
    for (const address of candidates) {
      try {
        return await this.#open(seedKey, address);
      } catch (error) {
        if (!(error instanceof KafkaProblem) || error.kind === "fatal") throw error;
        if (!problems.includes(error.message)) problems.push(error.message);
      }
    }
    throw new KafkaProblem("network", problems.join("; "));
  }

  async #open(key: string, address: BrokerAddress): Promise<Connection> {
    const known = this.#connections.get(key);
    if (known !== undefined) {
      const connection = await known;
      if (connection.usable) return connection;
      if (this.#connections.get(key) === known) this.#connections.delete(key);
      else return this.#open(key, address);
    }
    if (this.#closed) throw new KafkaProblem("fatal", "the Kafka client was closed");
    const opening = Connection.open(address, this.#options, this.#clock, this.#pool);
    this.#connections.set(key, opening);
    try {
      const connection = await opening;
      if (this.#closed) connection.close();
      return connection;
    } catch (error) {
      if (this.#connections.get(key) === opening) this.#connections.delete(key);
      throw error;
    }
  }

  /** Asks for topics (null: only brokers), and remembers brokers and leaders. */
  async refresh(topics: readonly string[] | null): Promise<readonly MetadataTopic[]> {
    const connection = await this.anyConnection();
    const response = await connection.send(metadataApi, { topics: topics ?? [] });
    this.#learn(response);
    return response.topics;
  }

  #learn(response: MetadataResponse): void {
    this.#controllerId = response.controllerId;
    const live = new Set(response.brokers.map((broker) => broker.nodeId));
    for (const nodeId of this.#brokers.keys()) if (!live.has(nodeId)) this.#brokers.delete(nodeId);
    for (const { nodeId, host, port } of response.brokers) {
      const known = this.#brokers.get(nodeId);
      if (known?.host === host && known.port === port) continue;
      this.#brokers.set(nodeId, { host, port });
      // A broker that moved: its old connections lead nowhere.
      if (known !== undefined) this.forgetConnections(nodeId);
    }
    for (const topic of response.topics) {
      for (const { partition, leaderId, leaderEpoch } of topic.partitions) {
        const key = `${topic.name}/${partition}`;
        const known = this.#leaders.get(key);
        // Brokers learn of elections at different times: an older answer must not undo a newer one.
        if (known !== undefined && leaderEpoch >= 0 && leaderEpoch < known.leaderEpoch) continue;
        this.#leaders.set(key, { partition, leaderId, leaderEpoch });
      }
    }
  }

  /** Forgets what is known of a topic's partitions: it was deleted, so epochs begin anew. */
  forgetTopic(topic: string): void {
    for (const key of this.#leaders.keys()) if (key.startsWith(`${topic}/`)) this.#leaders.delete(key);
  }

  forgetConnections(nodeId: number): void {
    for (const [key, opening] of this.#connections) {
      if (!key.startsWith(`${nodeId}/`)) continue;
      this.#connections.delete(key);
      opening.then(
        (connection) => connection.close(),
        () => undefined,
      );
    }
  }

  /** The broker that coordinates a group or a transactional id, remembered until `forgetCoordinator`. */
  async coordinator(kind: CoordinatorKind, key: string): Promise<number> {
    const known = this.#coordinators.get(`${kind}/${key}`);
    if (known !== undefined) return known;
    const connection = await this.anyConnection();
    const found = await connection.send(findCoordinatorApi, { kind, key });
    throwOnCode(found.errorCode, `FindCoordinator of ${kind} ${key}`);
    this.#coordinators.set(`${kind}/${key}`, found.nodeId);
    if (!this.#brokers.has(found.nodeId)) this.#brokers.set(found.nodeId, { host: found.host, port: found.port });
    return found.nodeId;
  }

  forgetCoordinator(kind: CoordinatorKind, key: string): void {
    this.#coordinators.delete(`${kind}/${key}`);
  }

  /** Closes every connection; nothing opens afterwards. */
  async close(): Promise<void> {
    this.#closed = true;
    const open = [...this.#connections.values()];
    this.#connections.clear();
    for (const opening of open) {
      await opening.then(
        (connection) => connection.close(),
        () => undefined,
      );
    }
  }
}
