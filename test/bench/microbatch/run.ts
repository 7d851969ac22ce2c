// One micro-batch benchmark in a process of its own; prints its figures as one line of JSON.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { int53, json, kafkaSink, kafkaSource, schema, string, timestamp } from "millrace";
import { type BatchSink, count, max, type QueryProgress, Session, StreamingQuery, sum, window } from "millrace/dataframe";
import { blockSource, generateBids } from "../bids.ts";

const Bid = schema({
  auction: int53(),
  bidder: int53(),
  price: int53(),
  channel: string(),
  url: string(),
  dateTime: timestamp(),
  extra: string(),
});

/** Adds up what it is given: so many rows, and the sums of some columns. */
function checkSink(fields: readonly string[]): BatchSink & { readonly sums: number[]; rows: number } {
  const sink = {
    kind: "batch" as const,
    connector: "check",
    options: {},
    rows: 0,
    sums: fields.map(() => 0),
    open: async ({ fields: rowSchema }: Parameters<BatchSink["open"]>[0]) => {
      const indexes = fields.map((name) => rowSchema.field(name).index);
      return {
        write: (batch: Parameters<Awaited<ReturnType<BatchSink["open"]>>["write"]>[0]) => {
          sink.rows += batch.count;
          indexes.forEach((index, at) => {
            const { numbers } = batch.rows.column(index);
            let added = 0;
            for (let k = 0; k < batch.count; k++) added += numbers[batch.selection[k] as number] as number;
            sink.sums[at] = (sink.sums[at] as number) + added;
          });
        },
        finish: async () => {},
        close: async () => {},
      };
    },
  };
  return sink;
}

const [scenario = "", text = "{}"] = process.argv.slice(2);
const options = JSON.parse(text) as Record<string, string>;
const folder = await mkdtemp(join(tmpdir(), "microbatch-bench-"));
const checkpointLocation = pathToFileURL(folder).href;

function used(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1e6;
}

/** 10 s windows per bidder, count and max, from a topic; everything that is there. */
async function windows(): Promise<object> {
  const session = new Session();
  const sink = checkSink(["n", "highest"]);
  const bids = session.readStream(
    kafkaSource({ bootstrapServers: options["brokers"] as string, topic: options["topic"] as string, format: json(Bid) }),
    {
      name: "bids",
      maxRecordsPerTrigger: Number(options["batch"] ?? 500_000),
    },
  );
  const query = bids
    .withWatermark("dateTime", "4 s")
    .groupBy((c) => ({ w: window(c.dateTime, "10 s"), bidder: c.bidder }))
    .agg((c) => ({ n: count(), highest: max(c.price) }))
    .writeStream(sink, { name: "windows", trigger: { availableNow: true } });
  const progress: QueryProgress[] = [];
  const cpu = process.cpuUsage();
  const startedMs = performance.now();
  await (await StreamingQuery.start(query, { checkpointLocation, onProgress: (one) => progress.push(one) })).done;
  const phases: Record<string, number> = {};
  for (const one of progress) for (const [phase, ms] of Object.entries(one.durationMs)) phases[phase] = (phases[phase] ?? 0) + ms;
  const records = progress.reduce((all, one) => all + one.numInputRows, 0);
  return {
    records,
    cpuSeconds: used(cpu),
    wallSeconds: (performance.now() - startedMs) / 1000,
    rows: sink.rows,
    sums: sink.sums,
    batches: progress.length,
    phases,
  };
}

/** Every record through a projection, a trigger every so many ms, exactly-once into a topic; until the process is told to end. */
async function steady(): Promise<object> {
  const session = new Session();
  const bootstrapServers = options["brokers"] as string;
  const Out = schema({ auction: int53(), price: int53() });
  const query = session
    .readStream(kafkaSource({ bootstrapServers, topic: options["topic"] as string, format: json(Bid), maxWaitMs: 20 }), { name: "bids" })
    .filter((c) => c.price.gt(0))
    .select("auction", "price")
    .writeStream(
      kafkaSink({ bootstrapServers, topic: options["output"] as string, format: json(Out), lingerMs: 1, delivery: "exactly-once" }),
      { name: "steady", trigger: { processingTime: Number(options["trigger"] ?? 100) } },
    );
  const durations: number[] = [];
  const cpu = process.cpuUsage();
  const running = await StreamingQuery.start(query, { checkpointLocation, onProgress: (one) => durations.push(one.batchDuration) });
  process.stdout.write("running\n");
  await new Promise<void>((resolve) => process.once("SIGTERM", () => resolve()));
  await running.stop();
  return { cpuSeconds: used(cpu), batches: durations.length, durations };
}

/** A running count over many keys: filled once, then small batches. */
async function keys(): Promise<object> {
  const total = Number(options["keys"] ?? 5_000_000);
  const perBatch = Number(options["batch"] ?? 50_000);
  const batches = Number(options["batches"] ?? 100);
  const session = new Session();
  const sink = checkSink(["n"]);
  const block = generateBids({ count: total * 2 + perBatch * batches, auctions: total, seed: 1 });
  const source = blockSource(block);
  let fill = true;
  const bids = session.readStream({ source, format: json(Bid) }, { name: "bids" });
  const query = bids
    .groupBy("auction")
    .agg((c) => ({ n: count(), total: sum(c.price) }))
    .writeStream(sink, { name: "keys", mode: "update", trigger: { availableNow: true } });
  const progress: QueryProgress[] = [];
  const limit = {
    get maxRecordsPerTrigger(): number {
      return fill ? 500_000 : perBatch;
    },
  };
  await (
    await StreamingQuery.start(query, {
      checkpointLocation,
      get maxRecordsPerTrigger() {
        return limit.maxRecordsPerTrigger;
      },
      onProgress: (one) => {
        progress.push(one);
        fill = progress.reduce((all, each) => all + each.numInputRows, 0) < total * 2;
      },
    })
  ).done;
  const small = progress.slice(-batches);
  return {
    keys: progress.at(-1)?.stateOperators[0]?.numRowsTotal,
    batches: small.length,
    durations: small.map(({ batchDuration }) => batchDuration),
    commitState: small.map(({ durationMs }) => durationMs["commitState"]),
    rows: sink.rows,
  };
}

const scenarios: Readonly<Record<string, () => Promise<object>>> = { windows, steady, keys };
try {
  const run = scenarios[scenario];
  if (run === undefined) throw new Error(`no scenario ${scenario}`);
  process.stdout.write(`${JSON.stringify(await run())}\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
