// Reads a topic whole with Kafka's own console consumer: the reference for what a reader of committed records sees.
// (kafkajs 2.2.4 lets records of aborted transactions through now and then, and @platformatic/kafka 2.12 all of them.)
import { execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

export interface ConsumedRecord {
  readonly key: string | null;
  readonly value: string;
  readonly partition: number;
  readonly offset: number;
}

const cache = process.env["MILLRACE_CACHE"] ?? join(process.env["XDG_CACHE_HOME"] || join(homedir(), ".cache"), "millrace");
const quietMs = 15_000;

/** Follows a topic from its beginning: `sink` gets every committed record as it becomes visible, until `stop`. */
export function followCommitted(brokers: readonly string[], topic: string, sink: (record: ConsumedRecord) => void): { stop(): void } {
  const child = spawn("java", ["-Xmx128m", ...consoleConsumer(brokers, topic)], { stdio: ["ignore", "pipe", "ignore"] });
  let rest = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") sink(recordOf(line));
  });
  return { stop: () => void child.kill("SIGKILL") };
}

/** All committed records of a topic, in order of each partition; none of them may hold a tab or a line end. */
export async function consumeCommitted(brokers: readonly string[], topic: string): Promise<readonly ConsumedRecord[]> {
  const read = async (timeoutMs: number): Promise<readonly ConsumedRecord[]> => {
    const { stdout } = await promisify(execFile)("java", [...consoleConsumer(brokers, topic), "--timeout-ms", String(timeoutMs)], {
      maxBuffer: 2 ** 30,
    });
    return stdout
      .split("\n")
      .filter((line) => line !== "")
      .map(recordOf);
  };
  const records = await read(quietMs);
  // On a machine that is busy enough the consumer gives up before its first answer.
  return records.length > 0 ? records : read(quietMs * 5);
}

function consoleConsumer(brokers: readonly string[], topic: string): readonly string[] {
  const libraries = `${cache}/kafka-4.1.0/libs`;
  if (!existsSync(libraries)) throw new Error(`Kafka's own consumer is not in ${libraries}: run hack/kafka up where Java is installed`);
  return [
    ...["-cp", `${libraries}/*`, "org.apache.kafka.tools.consumer.ConsoleConsumer"],
    ...["--bootstrap-server", brokers.join(","), "--topic", topic, "--from-beginning", "--isolation-level", "read_committed"],
    ...["print.partition=true", "print.offset=true", "print.key=true", "key.separator=\t"].flatMap((property) => ["--property", property]),
  ];
}

function recordOf(line: string): ConsumedRecord {
  const [partition = "", offset = "", key = "", value = ""] = line.split("\t");
  return {
    partition: Number(partition.replace("Partition:", "")),
    offset: Number(offset.replace("Offset:", "")),
    key: key === "null" ? null : key,
    value,
  };
}
