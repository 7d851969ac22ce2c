// The beginning of a job: slots start one after another, and what is late does not depend on it.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MemoryStorage } from "../../../checkpoint/storage/memory-storage.ts";
import { memorySink, memorySource } from "../../../connectors/memory/index.ts";
import { string, timestamp } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import { boundedOutOfOrderness } from "../../../core/time/watermark-strategy.ts";
import { job } from "../../../dsl/job.ts";
import { tumbling } from "../../../dsl/windows.ts";
import { count } from "../../../operators/aggregate/call.ts";
import { TestCluster } from "../testing/test-cluster.suite.ts";
import { turns } from "../testing/workload.suite.ts";

const Row = schema({ key: string(), at: timestamp() });
const keys = ["a", "b", "c", "d", "e", "f"];

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "millrace-beginning-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test.each(["memory", "tcp"] as const)("a row is late however late the other slots begin, by %s", async (transport) => {
  // One split, so that the source's other instances are idle, which they say when they begin.
  const source = memorySource(Row, { splits: 1 });
  const late = memorySink<{ readonly key: string }>();
  const dataflow = job("starts", (flow) => {
    const windows = flow
      .source("rows", source, { time: "at", watermarks: boundedOutOfOrderness(0, { everyRow: true }) })
      .keyBy("key")
      .window(tumbling("1 s"))
      .aggregate({ n: count() }, { uid: "w" });
    windows.to("out", memorySink());
    windows.side("late").to("late", late);
  }).build();
  // Of each key one row before the time has gone on, and one after.
  for (const key of keys) source.push({ key, at: 500 });
  source.push({ key: "time", at: 10_000 });
  for (const key of keys) source.push({ key, at: 600 });
  source.end();
  const cluster = await TestCluster.start({
    dataflow,
    parallelism: 3,
    slots: 3,
    transport,
    storage: new MemoryStorage(),
    directory,
    betweenStarts: () => turns(50),
  });
  try {
    await cluster.finish();
    expect(late.rows.map(({ key }) => key).sort()).toEqual(keys);
  } finally {
    await cluster.close();
  }
});
