// One measurement of the suite exchange in a process of its own; prints its figures as one line of JSON.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { openStorage } from "../../../runtime/src/checkpoint/storage/open-storage.ts";
import { openSlots } from "../../../runtime/src/cli/slot/open-slots.ts";
import { loadJob } from "../../../runtime/src/cli/run/load-job.ts";
import { configOfModule } from "../../../runtime/src/cli/run/run-config.ts";
import { TestCluster } from "../../../runtime/src/drivers/cluster/testing/test-cluster.suite.ts";
import { defaultExchange } from "../../../runtime/src/drivers/exchange/exchange.ts";
import { type ExchangeQuery, expectedSum, share } from "./job.ts";

const [query = "window", parallelism = "1", slots = "1", wires = "ports", records = "1000000"] = process.argv.slice(2);
const module = fileURLToPath(new URL("job.ts", import.meta.url));
const directory = await mkdtemp(join(tmpdir(), "millrace-bench-exchange-"));
const parameters = { records, shares: parallelism, query };
const storage = pathToFileURL(join(directory, "snapshots")).href;
const openSlot = openSlots(
  {
    // The test's leader calls the process "tm": another name here, and every peer is in another process.
    taskManagerId: wires === "tcp" ? "other" : "tm",
    run: { ...configOfModule(module, { param: parameters, storage }), maxParallelism: 128 },
    jobId: "bench-exchange",
    directory: join(directory, "work"),
    exchangePort: 0,
    exchange: defaultExchange,
    log: { format: "text", level: "error" },
  },
  "127.0.0.1",
);
const cluster = await TestCluster.start({
  dataflow: await loadJob(module, parameters),
  parallelism: Number(parallelism),
  slots: Number(slots),
  maxParallelism: 128,
  storage: await openStorage(storage),
  directory: join(directory, "leader"),
  openSlot,
});
const before = process.cpuUsage();
const startedMs = performance.now();
await cluster.ended();
const wallSeconds = (performance.now() - startedMs) / 1000;
const used = process.cpuUsage(before);
const { acks } = await cluster.checkpoint("hold");
const reports = cluster.events.filter((event) => event.kind === "report");
const bytesOut = Array.from(
  { length: Number(slots) },
  (_, slot) => reports.findLast(({ slice }) => slice.slot === slot)?.report.exchange.bytesOut ?? 0,
).reduce((a, b) => a + b, 0);
await cluster.close();
await rm(directory, { recursive: true, force: true });
const states = acks.flatMap(({ ack }) => ack.subtasks.flatMap(({ sink }) => (sink !== undefined && "inline" in sink ? [sink.inline] : [])));
const sum = states.reduce((all, state) => all + Number(Buffer.from(state, "base64").toString()), 0);
const expected = expectedSum(
  query as ExchangeQuery,
  Array.from({ length: Number(parallelism) }, (_, index) => share(Number(records), Number(parallelism), index)),
);
const cpuSeconds = (used.user + used.system) / 1e6;
process.stdout.write(
  `${JSON.stringify({ query, parallelism: Number(parallelism), slots: Number(slots), wires, wallSeconds, cpuSeconds, bytesOut, correct: sum === expected, sum, expected })}\n`,
);
