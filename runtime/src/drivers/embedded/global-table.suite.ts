// Joins with a global table, for every implementation of the Kafka port: the table is whole before the first row is joined, and followed then.
import { randomUUID } from "node:crypto";
import { afterEach, describe, expect, it } from "vitest";
import type { KafkaClient } from "../../connectors/kafka/client/kafka-client.ts";
import { batchOf, produceTo } from "../../connectors/kafka/client/kafka-client.suite.ts";
import { kafkaSink } from "../../connectors/kafka/sink/kafka-sink.ts";
import { readTopic } from "../../connectors/kafka/sink/read-topic.suite.ts";
import { kafkaSource } from "../../connectors/kafka/source/kafka-source.ts";
import { boolean, int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { job } from "../../dsl/job.ts";
import { json } from "../../serde/index.ts";
import { EmbeddedApp } from "./app.ts";
import type { EmbeddedConfig } from "./config.ts";

const Order = schema({ order: int53(), buyer: string(), seller: string() });
const Customer = schema({ customer: string(), city: string(), gone: boolean() });
const bootstrapServers = "127.0.0.1:1";
const limit = { timeout: 60_000, interval: 50 };
// The records are of 2001: a broker would delete them by their age.
const keepAll = { "retention.ms": "-1" };
const customers = 300;
const tablePartitions = 3;

interface Joined {
  readonly order: number;
  readonly buyer_city: string;
  readonly seller_city: string | null;
}

/** A client whose fetches of one topic wait. */
function holding(client: KafkaClient, topic: string, until: Promise<void>): KafkaClient {
  const fetch: KafkaClient["fetch"] = async (node, request, lane) => {
    if (request.partitions.some((each) => each.topic === topic)) await until;
    return client.fetch(node, request, lane);
  };
  return new Proxy(client, {
    get(target, name) {
      if (name === "fetch") return fetch;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === "function" ? (value.bind(target) as unknown) : value;
    },
  });
}

export function globalTableSuite(implementation: string, connect: () => KafkaClient, sessionTimeoutMs: number): void {
  describe(`joins with a global table, ${implementation}`, () => {
    const open: EmbeddedApp[] = [];
    const clients: KafkaClient[] = [];
    afterEach(async () => {
      for (const app of open.splice(0)) await app.close(5000);
      for (const client of clients.splice(0)) await client.close();
    });

    const setUp = async () => {
      const name = `global-${randomUUID()}`;
      const topics = {
        orders: `${name}-orders`,
        customers: `${name}-customers`,
        pings: `${name}-pings`,
        out: `${name}-out`,
        pongs: `${name}-pongs`,
      };
      const client = connect();
      clients.push(client);
      const partitions = { orders: 2, customers: tablePartitions, pings: 1, out: 1, pongs: 1 };
      await client.createTopics(
        (["orders", "customers", "pings", "out", "pongs"] as const).map((each) => ({
          ...{ name: topics[each], partitions: partitions[each], replicationFactor: -1, configs: keepAll },
        })),
      );
      await client.topics(Object.values(topics));
      const joins = job(name, (flow) => {
        const table = flow.globalTable("customers", kafkaSource({ bootstrapServers, topic: topics.customers, format: json(Customer) }), {
          key: ["customer"],
          isDelete: (row) => row.gone,
        });
        flow
          .source("orders", kafkaSource({ bootstrapServers, topic: topics.orders, format: json(Order) }))
          .joinGlobal(table, { uid: "buyer", on: ["buyer"], rightPrefix: "buyer_" })
          .joinGlobal(table, { uid: "seller", on: ["seller"], type: "left", rightPrefix: "seller_" })
          .select("order", "buyer_city", "seller_city")
          .to("out", kafkaSink({ bootstrapServers, topic: topics.out, format: json() }));
        flow
          .source("pings", kafkaSource({ bootstrapServers, topic: topics.pings, format: json(Order) }))
          .to("pongs", kafkaSink({ bootstrapServers, topic: topics.pongs, format: json() }));
      });
      const send = async (topic: "orders" | "customers" | "pings", rows: readonly object[], partitionOf: (index: number) => number) => {
        for (let partition = 0; partition < partitions[topic]; partition++) {
          const own = rows.filter((_row, index) => partitionOf(index) === partition).map((row) => JSON.stringify(row));
          if (own.length > 0) expect(await produceTo(client, topics[topic], partition, batchOf(own))).toBe(0);
        }
      };
      return {
        topics,
        send,
        joined: async (): Promise<readonly Joined[]> =>
          (await readTopic(client, topics.out)).map(({ value }) => JSON.parse(value ?? "") as Joined).toSorted((a, b) => a.order - b.order),
        pongs: async () => (await readTopic(client, topics.pongs)).length,
        start: async (until?: Promise<void>, config: EmbeddedConfig = {}): Promise<EmbeddedApp> => {
          const openClient = () => (until === undefined ? connect() : holding(connect(), topics.customers, until));
          const app = new EmbeddedApp(joins, { sessionTimeoutMs, commitIntervalMs: 50, ...config }, { openClient });
          open.push(app);
          await app.start();
          return app;
        },
      };
    };

    const customer = (index: number, city = `c${index}`, gone = false) => ({ customer: `k${index}`, city, gone });
    const order = (index: number) => ({ order: index, buyer: `k${index % customers}`, seller: `k${(index * 7) % (customers + 50)}` });
    /** What a plain look-up gives. */
    const expectedOf = (orders: readonly ReturnType<typeof order>[], table: ReadonlyMap<string, string>): readonly Joined[] =>
      orders.flatMap(({ order: number, buyer, seller }) => {
        const city = table.get(buyer);
        return city === undefined ? [] : [{ order: number, buyer_city: city, seller_city: table.get(seller) ?? null }];
      });

    it("misses nothing of what the table's topic held at the start, however slowly that is read; other tasks go on meanwhile", async () => {
      const { send, start, joined, pongs } = await setUp();
      const cities = new Map<string, string>();
      // Each customer twice: the second row counts. Every tenth is deleted then.
      const rows = [
        ...Array.from({ length: customers }, (_, index) => customer(index, "old")),
        ...Array.from({ length: customers }, (_, index) => customer(index)),
        ...Array.from({ length: customers / 10 }, (_, index) => customer(index * 10, "", true)),
      ];
      for (const { customer: key, city, gone } of rows) {
        if (gone) cities.delete(key);
        else cities.set(key, city);
      }
      await send("customers", rows, (index) => Number(rows[index]?.customer.slice(1)) % tablePartitions);
      const orders = Array.from({ length: 2 * customers }, (_, index) => order(index));
      await send("orders", orders, (index) => index % 2);
      await send("pings", [order(1), order(2)], () => 0);
      const held = Promise.withResolvers<void>();
      const app = await start(held.promise);
      try {
        // The application runs, but for the tasks that need the table.
        await expect.poll(pongs, limit).toBe(2);
        const states = () => Object.fromEntries(app.health().tasks.map(({ id, state }) => [id, state]));
        expect(states()).toEqual({ "0_0": "opening", "0_1": "opening", "1_0": "running" });
        await expect.poll(() => app.state, limit).toBe("restoring");
        expect(await joined()).toEqual([]);
        await expect(app.queries.query({ uid: "customers", query: { kind: "all" } })).rejects.toMatchObject({ code: "STORE_NOT_READY" });
      } finally {
        held.resolve();
      }
      await expect.poll(async () => (await joined()).length, limit).toBe(expectedOf(orders, cities).length);
      expect(await joined()).toEqual(expectedOf(orders, cities));
      expect(app.state).toBe("running");
    });

    it("follows the table, tells what it holds, and has all of it again after a restart", async () => {
      const { send, start, joined } = await setUp();
      await send("customers", [customer(1), customer(2)], (index) => index);
      const first = await start();
      await send("orders", [{ order: 1, buyer: "k1", seller: "k9" }], () => 0);
      await expect.poll(joined, limit).toEqual([{ order: 1, buyer_city: "c1", seller_city: null }]);
      await send("customers", [customer(9, "new"), customer(2, "", true)], (index) => index);
      const held = async (app: EmbeddedApp) => {
        const { rows } = await app.queries.query({ uid: "customers", query: { kind: "all" } });
        return rows.map(({ value }) => (value as { city: string }).city).toSorted();
      };
      await expect.poll(() => held(first), limit).toEqual(["c1", "new"]);
      await send("orders", [{ order: 2, buyer: "k1", seller: "k9" }], () => 1);
      await expect.poll(async () => (await joined())[1], limit).toEqual({ order: 2, buyer_city: "c1", seller_city: "new" });
      await first.close();
      await send("orders", [{ order: 3, buyer: "k9", seller: "k2" }], () => 1);
      const second = await start();
      await expect.poll(async () => (await joined()).slice(2), limit).toEqual([{ order: 3, buyer_city: "new", seller_city: null }]);
      expect(await held(second)).toEqual(["c1", "new"]);
    });
  });
}
