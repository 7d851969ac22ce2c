// Joins with a global table where rows are divided by key, as a StreamJob does it, and how an application divides itself over one.
import { expect, test } from "vitest";
import { kafkaSink } from "../connectors/kafka/sink/kafka-sink.ts";
import { kafkaSource } from "../connectors/kafka/source/kafka-source.ts";
import { memorySink, memorySource } from "../connectors/memory/index.ts";
import { boolean, int53, string } from "../core/schema/field.ts";
import { schema } from "../core/schema/schema.ts";
import { describeTopology, topologyMermaid } from "../drivers/embedded/describe.ts";
import { splitDataflow } from "../drivers/embedded/topology/sub-topologies.ts";
import { json } from "../serde/index.ts";
import { testJob } from "../testing/job-harness.ts";
import { job } from "./job.ts";

const Order = schema({ order: int53(), buyer: string() });
const Customer = schema({ customer: string(), city: string(), gone: boolean() });

test("a row finds the table's row of its field as it is when the row comes, over two instances", async () => {
  const t = await testJob(
    job("global", (flow) => {
      const table = flow.globalTable("customers", memorySource(Customer), { key: ["customer"], isDelete: ({ gone }) => gone });
      flow
        .source("orders", memorySource(Order))
        .joinGlobal(table, { uid: "joined", on: ["buyer"], type: "left" })
        .select("order", "city")
        .to("out", memorySink());
    }),
    { parallelism: 2 },
  );
  try {
    const found = async (order: number): Promise<unknown> => {
      t.push("orders", { order, buyer: "a" });
      await t.run();
      return t.rows("out").find((row) => (row as { order: number }).order === order);
    };
    expect(await found(1)).toEqual({ order: 1, city: null });
    t.push("customers", { customer: "a", city: "Porto", gone: false }, { customer: "b", city: "Faro", gone: false });
    await t.run();
    expect(await found(2)).toEqual({ order: 2, city: "Porto" });
    t.push("customers", { customer: "a", city: "", gone: true });
    await t.run();
    expect(await found(3)).toEqual({ order: 3, city: null });
  } finally {
    await t.close();
  }
});

test("keys that cannot be equal are refused when the job is planned", () => {
  const built = job("global", (flow) => {
    const table = flow.globalTable("customers", memorySource(Customer), { key: ["customer"] });
    flow
      .source("orders", memorySource(Order))
      .joinGlobal(table, { uid: "joined", on: ["order"] })
      .to("out", memorySink());
  });
  expect(() => built.build()).toThrowError(expect.objectContaining({ code: "JOIN_KEY_MISMATCH" }));
});

test("in an application no row changes its task for it: one sub-topology, without the table's source and without state", () => {
  const bootstrapServers = "127.0.0.1:1";
  const topology = splitDataflow(
    job("global", (flow) => {
      const table = flow.globalTable("customers", kafkaSource({ bootstrapServers, topic: "c", format: json(Customer) }), {
        key: ["customer"],
      });
      flow
        .source("orders", kafkaSource({ bootstrapServers, topic: "o", format: json(Order) }))
        .joinGlobal(table, { uid: "joined", on: ["buyer"] })
        .to("out", kafkaSink({ bootstrapServers, topic: "out", format: json() }));
    }).build(),
    "app",
  );
  expect(topology.edges).toEqual([]);
  expect(
    topology.subTopologies.map(({ sources, tables, stores }) =>
      [sources, tables].map((each) => each.map(({ uid }) => uid)).concat(stores.map(({ uid }) => [uid])),
    ),
  ).toEqual([[["orders"], ["customers"]]]);
  expect(describeTopology(topology)).toContain("  each process holds customers, from c\n");
  expect(topologyMermaid(topology)).toContain('n0[["customers, in each process"]]');
});
