// Where dataflows are cut, how many tasks there are, and what tells two topologies apart.
import { describe, expect, test } from "vitest";
import { values } from "../../../connectors/memory/index.ts";
import { blackhole } from "../../../connectors/console/index.ts";
import { int53, string, timestamp } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import type { Flow } from "../../../dsl/flow.ts";
import { job } from "../../../dsl/job.ts";
import { tumbling } from "../../../dsl/windows.ts";
import { count, sum } from "../../../operators/aggregate/call.ts";
import type { DataflowNode } from "../../../plan/dataflow.ts";
import { fingerprintOf, splitDataflow, taskCounts, type Topology } from "./sub-topologies.ts";

const Order = schema({ user: string(), product: string(), amount: int53(), at: timestamp() });

function topologyOf(describeFlow: (flow: Flow) => void): Topology {
  return splitDataflow(job("shop", describeFlow).build(), "shop");
}
const orders = (flow: Flow, uid = "orders") => flow.source(uid, values(Order, []), { time: "at" });
const shape = ({ subTopologies }: Topology) => subTopologies.map(({ nodes }) => nodes.map((node) => node.uid));
const parts = (of: Readonly<Record<string, number>>) => (node: DataflowNode) => of[node.uid] ?? 0;

describe("a dataflow", () => {
  test("without a key is one sub-topology without topics of its own", () => {
    const topology = topologyOf((flow) =>
      orders(flow)
        .filter((order) => order.amount > 0, { uid: "paid" })
        .to("out", blackhole()),
    );
    expect(shape(topology)).toEqual([["orders", "paid", "out"]]);
    expect([topology.edges, topology.subTopologies[0]?.stores]).toEqual([[], []]);
    expect(taskCounts(topology, parts({ orders: 5 }), 128)).toEqual([5]);
  });

  test("is cut in front of each key, and what has state has a changelog", () => {
    const topology = topologyOf((flow) =>
      orders(flow)
        .keyBy("user")
        .aggregate({ spent: sum("amount") }, { uid: "per-user" })
        .keyBy("spent")
        .aggregate({ users: count() }, { uid: "per-sum" })
        .to("out", blackhole()),
    );
    expect(shape(topology)).toEqual([["orders"], ["per-user"], ["per-sum", "out"]]);
    expect(topology.edges.map(({ topic, from, to, kind }) => [topic, from, to, kind])).toEqual([
      ["shop-per-user-repartition", 0, 1, "hash"],
      ["shop-per-sum-repartition", 1, 2, "hash"],
    ]);
    expect(topology.subTopologies.flatMap((each) => each.stores)).toEqual([
      { uid: "per-user", topic: "shop-per-user-changelog" },
      { uid: "per-sum", topic: "shop-per-sum-changelog" },
    ]);
    expect(taskCounts(topology, parts({ orders: 5 }), 128)).toEqual([5, 5, 5]);
    expect(taskCounts(topology, parts({ orders: 300 }), 128)).toEqual([300, 128, 128]);
  });

  test("with two inputs to one operator has a topic for each, with as many partitions as the wider one", () => {
    const topology = topologyOf((flow) => {
      const left = orders(flow, "left").keyBy("user");
      const right = orders(flow, "right").keyBy("user");
      left.joinWindow(right, tumbling("1 s"), { uid: "both", rightPrefix: "right" }).to("out", blackhole());
    });
    expect(topology.edges.map((edge) => [edge.topic, edge.from, edge.to])).toEqual([
      ["shop-both-0-repartition", 0, 2],
      ["shop-both-1-repartition", 1, 2],
    ]);
    expect(taskCounts(topology, parts({ left: 2, right: 7 }), 128)).toEqual([2, 7, 7]);
  });

  test("with a window over all rows has one task there", () => {
    const topology = topologyOf((flow) =>
      orders(flow).window(tumbling("1 s")).aggregate({ n: count() }, { uid: "all" }).to("out", blackhole()),
    );
    expect(shape(topology)).toEqual([["orders"], ["all", "out"]]);
    expect(topology.edges[0]?.kind).toBe("spread");
    expect(taskCounts(topology, parts({ orders: 5 }), 128)).toEqual([5, 1]);
  });

  test("whose parts meet again is one sub-topology that feeds itself", () => {
    const topology = topologyOf((flow) => {
      const all = orders(flow);
      const sums = all
        .keyBy("user")
        .window(tumbling("1 s"))
        .aggregate({ amount: sum("amount") }, { uid: "sums" });
      sums.select("user", "amount").union(all.select("user", "amount")).to("out", blackhole());
    });
    expect(topology.subTopologies.length).toBe(1);
    expect(topology.edges.map(({ from, to }) => [from, to])).toEqual([[0, 0]]);
    expect(taskCounts(topology, parts({ orders: 4 }), 128)).toEqual([4]);
  });
});

test("a fingerprint changes with operators and with the number of tasks, and with nothing else", () => {
  const one = (uid: string, amount: number) =>
    topologyOf((flow) =>
      orders(flow)
        .filter((order) => order.amount > amount, { uid })
        .to("out", blackhole()),
    );
  expect(fingerprintOf(one("a", 1), [3])).toBe(fingerprintOf(one("a", 2), [3]));
  expect(fingerprintOf(one("a", 1), [3])).not.toBe(fingerprintOf(one("b", 1), [3]));
  expect(fingerprintOf(one("a", 1), [3])).not.toBe(fingerprintOf(one("a", 1), [4]));
});
