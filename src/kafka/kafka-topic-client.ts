// The TopicClient port over the runtime's own Kafka client; what was read is good for a few seconds, so that looking often asks seldom.
import { type KafkaConnectionOptions, readGroupLag } from "millrace/topics";
import type { TopicAccess, TopicClient, TopicReport } from "../ports/app-client.ts";

const freshMs = 5_000;
/** A broker that does not answer must not hold reconciling up. */
const timeouts = { connectTimeoutMs: 3_000, requestTimeoutMs: 5_000, retryTimeoutMs: 5_000 } as const;
const maxRemembered = 5_000;

type Mechanism = NonNullable<KafkaConnectionOptions["sasl"]>["mechanism"];

export class KafkaTopicClient implements TopicClient {
  readonly #now: () => number;
  readonly #serverOf: (server: string, namespace: string) => string;
  readonly #read: typeof readGroupLag;
  readonly #seen = new Map<string, { readonly atMs: number; readonly report: Promise<TopicReport> }>();

  /** @param serverOf what this process calls a server that the app's manifest names; without it the same */
  constructor(
    now: () => number,
    serverOf: (server: string, namespace: string) => string = (server) => server,
    read: typeof readGroupLag = readGroupLag,
  ) {
    this.#now = now;
    this.#serverOf = serverOf;
    this.#read = read;
  }

  look(access: TopicAccess, group: string, topics: readonly string[]): Promise<TopicReport> {
    const brokers = access.brokers.map((server) => this.#serverOf(server, access.namespace));
    const key = JSON.stringify([brokers, group, topics]);
    const seen = this.#seen.get(key);
    if (seen !== undefined && this.#now() - seen.atMs < freshMs) return seen.report;
    const report = this.#read(optionsOf({ ...access, brokers }), group, topics);
    if (this.#seen.size >= maxRemembered) this.#seen.clear();
    this.#seen.set(key, { atMs: this.#now(), report });
    // Whoever awaits it hears of a failure; nobody else need.
    report.catch(() => {});
    return report;
  }
}

function optionsOf({ brokers, tls, sasl }: TopicAccess): KafkaConnectionOptions {
  return {
    bootstrapServers: brokers,
    clientId: "millrace-operator",
    ...timeouts,
    ...(tls === undefined ? {} : { tls: Object.keys(tls).length === 0 ? true : tls }),
    ...(sasl === undefined
      ? {}
      : { sasl: { mechanism: sasl.mechanism.toUpperCase() as Mechanism, username: sasl.username, password: sasl.password } }),
  };
}
