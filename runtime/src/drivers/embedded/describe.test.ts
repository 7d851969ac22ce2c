// A topology in words and as a drawing.
import { expect, test } from "vitest";
import clickstream from "../../../../docs/examples/clickstream/clickstream.ts";
import { describeTopology, topologyMermaid } from "./describe.ts";
import { splitDataflow } from "./topology/sub-topologies.ts";

const topology = splitDataflow(clickstream.build(), "shop");

test("sub-topologies say what they read and write, and where state is", () => {
  expect(describeTopology(topology).split("\n\n")).toEqual([
    "application shop",
    "sub-topology 0\n  reads clicks -> clicks\n  clicks -> writes shop-with-region-0-repartition by key",
    "sub-topology 1\n  reads profiles -> profiles\n  profiles -> writes shop-with-region-1-repartition by key",
    [
      "sub-topology 2",
      "  reads shop-with-region-0-repartition -> with-region",
      "  reads shop-with-region-1-repartition -> with-region",
      "  with-region (join.temporal), state in shop-with-region-changelog",
      "  with-region.select (select)",
      "  with-region.select.select (select)",
      "  with-region.select.select -> writes shop-per-region-repartition by key",
    ].join("\n"),
    "sub-topology 3\n  reads shop-per-region-repartition -> per-region\n  per-region (window), state in shop-per-region-changelog\n  per-region -> views, writes views\n",
  ]);
});

test("the drawing has every topic once, and every way", () => {
  const drawing = topologyMermaid(topology);
  for (const topic of ["clicks", "profiles", "views", "shop-with-region-0-repartition", "shop-per-region-repartition"]) {
    expect(drawing.split(`("${topic}")`).length - 1).toBe(1);
  }
  expect(drawing.match(/subgraph/g)?.length).toBe(4);
  expect(drawing).toMatch(/n\d+\[\["per-region"\]\]/);
});
