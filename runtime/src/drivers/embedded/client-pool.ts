// The connections of a process to its cluster: each use that must not wait for another has a client of its own.
import type { ClientOptions } from "../../connectors/kafka/client/client-options.ts";
import { FramePool } from "../../connectors/kafka/client/frames.ts";
import type { KafkaClient } from "../../connectors/kafka/client/kafka-client.ts";
import { WireKafkaClient } from "../../connectors/kafka/client/wire-client.ts";

export class ClientPool {
  readonly #cluster: ClientOptions;
  readonly #open: ((options: ClientOptions) => KafkaClient) | undefined;
  readonly #clients: KafkaClient[] = [];

  /** `open` stands in for a real client. */
  constructor(cluster: ClientOptions, open: ((options: ClientOptions) => KafkaClient) | undefined) {
    this.#cluster = cluster;
    this.#open = open;
  }

  connect(bufferBytes: number): KafkaClient {
    const client = this.#open?.(this.#cluster) ?? new WireKafkaClient(this.#cluster, { pool: new FramePool(bufferBytes) });
    this.#clients.push(client);
    return client;
  }

  async close(): Promise<void> {
    for (const client of this.#clients) await client.close();
  }
}
