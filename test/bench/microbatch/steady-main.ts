// A query with a trigger every so many ms in a process of its own, until it is told to end; prints its figures as one line of JSON.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { int53, json, kafkaSink, kafkaSource, schema } from "millrace";
import { Session, StreamingQuery } from "millrace/dataframe";
import { Bid } from "../kafka/jobs/bid.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as Record<string, string>;
const folder = await mkdtemp(join(tmpdir(), "microbatch-bench-"));
const checkpointLocation = pathToFileURL(folder).href;

function used(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1e6;
}

/** Every record through a projection, a trigger every so many ms, exactly-once into a topic. */
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

try {
  process.stdout.write(`${JSON.stringify(await steady())}\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
