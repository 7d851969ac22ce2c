// One job in three lives on a real Kafka: in a cluster's process, in two services, and in a process again at another parallelism. Each begins
// from the savepoint that the one before ended with, records come all the time, and windows are open at every change.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { clientOptions } from "../../runtime/src/connectors/kafka/client/client-options.ts";
import { batchOf, fetchFrom, produceTo } from "../../runtime/src/connectors/kafka/client/kafka-client.suite.ts";
import { WireKafkaClient } from "../../runtime/src/connectors/kafka/client/wire-client.ts";
import { realKafka } from "../support/real.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { bootstrap } = realKafka();
const partitions = 4;
const limit = { timeout: 60_000, interval: 200 };
const windowMs = 10_000;
let client: WireKafkaClient;
let folder: string;
const children: ChildProcess[] = [];

interface Payment {
  readonly customer: string;
  readonly cents: number;
  readonly at: number;
}

beforeEach(async () => {
  client = new WireKafkaClient(clientOptions({ bootstrapServers: bootstrap }));
  folder = await mkdtemp(join(tmpdir(), "change-of-shape-"));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await client.close();
  await rm(folder, { recursive: true, force: true });
});

interface Running {
  readonly url: string;
  readonly exited: Promise<number | null>;
  readonly output: () => string;
}

/** Starts a process and waits until it says where it listens. */
async function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Running> {
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  children.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (more: string) => {
      text += more;
    });
  }
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  const url = (): string => /http:\/\/127\.0\.0\.1:\d+/.exec(text)?.[0] ?? "";
  try {
    await expect.poll(url, limit).not.toBe("");
  } catch (error) {
    throw new Error(`${args.join(" ")} does not listen:\n${text}`, { cause: error });
  }
  return { url: url(), exited, output: () => text };
}

async function stopWithSavepoint({ url, output }: Running, id: string): Promise<string> {
  const answer = await fetch(`${url}/v1/savepoints?wait=60s`, { method: "POST", body: JSON.stringify({ id, mode: "stop" }) });
  const body = (await answer.json()) as { readonly phase: string; readonly location: string };
  expect([answer.status, body.phase], `${JSON.stringify(body)}\n${output()}`).toEqual([200, "completed"]);
  return body.location;
}

test("a StreamJob goes on as services and as a StreamJob of another parallelism, and every row counts once", async () => {
  const id = `shapes-${process.pid}-${Date.now()}`;
  const topics = { input: `${id}-in`, output: `${id}-out` };
  await client.createTopics(
    Object.values(topics).map((name) => ({ name, partitions, replicationFactor: -1, configs: { "retention.ms": "-1" } })),
  );
  await client.topics(Object.values(topics));
  const sent: Payment[] = [];
  // Event time goes on by 15 s a phase, so a window is always open; customers come back in every one.
  const send = async (phase: number): Promise<void> => {
    const rows = Array.from({ length: 600 }, (_, index) => ({
      customer: `c${(index * 7) % 31}`,
      cents: phase * 1000 + index,
      at: 1_000_000 + phase * 15_000 + index * 25 - ((index * 53) % 1500),
    }));
    sent.push(...rows);
    await produce(rows);
  };
  const produce = async (rows: readonly Payment[]): Promise<void> => {
    for (let partition = 0; partition < partitions; partition++) {
      const own = rows.filter((_row, index) => index % partitions === partition).map((row) => JSON.stringify(row));
      if (own.length > 0) expect(await produceTo(client, topics.input, partition, batchOf(own))).toBe(0);
    }
  };
  const seen = async (): Promise<readonly string[]> => {
    const rows: string[] = [];
    for (let partition = 0; partition < partitions; partition++)
      rows.push(...(await fetchFrom(client, topics.output, { partition }, "read_committed")).values);
    return rows
      .map((text) => JSON.parse(text) as Readonly<Record<string, unknown>>)
      .map(({ customer, windowStart, payments, cents }) => [customer, windowStart, payments, cents].join(" "))
      .toSorted();
  };
  const expected = (): readonly string[] => {
    const windows = new Map<string, { payments: number; cents: number }>();
    for (const { customer, cents, at } of sent) {
      const key = `${customer} ${Math.floor(at / windowMs) * windowMs}`;
      const known = windows.get(key) ?? { payments: 0, cents: 0 };
      windows.set(key, { payments: known.payments + 1, cents: known.cents + cents });
    }
    return [...windows].map(([key, { payments, cents }]) => `${key} ${payments} ${cents}`).toSorted();
  };
  const grown = async (): Promise<void> => {
    const before = (await seen()).length;
    await expect.poll(async () => (await seen()).length, limit).toBeGreaterThan(before);
  };
  const job = (storage: string, parallelism: number, ...more: readonly string[]): Promise<Running> =>
    run([
      "runtime/bin/millrace.js",
      "run",
      "docs/examples/shapes/spending.ts",
      ...["--param", `brokers=${bootstrap.join(",")}`, "--param", `input=${topics.input}`, "--param", `output=${topics.output}`],
      ...["--storage", pathToFileURL(join(folder, storage)).href, "--parallelism", String(parallelism), "--port", "0"],
      ...["--checkpoint-interval", "300ms", ...more],
    ]);
  const service = (fromSavepoint: string): Promise<Running> =>
    run(["docs/examples/shapes/service.ts"], {
      APPLICATION_ID: id,
      BROKERS: bootstrap.join(","),
      INPUT: topics.input,
      OUTPUT: topics.output,
      STORAGE: pathToFileURL(join(folder, "services")).href,
      FROM_SAVEPOINT: fromSavepoint,
      PORT: "0",
    });

  await send(0);
  const first = await job("one", 1);
  await send(1);
  await grown();
  const sending = send(2);
  const out = await stopWithSavepoint(first, "out");
  await sending;
  await first.exited;

  const services = await Promise.all([service(out), service(out)]);
  await send(3);
  await grown();
  for (const { url } of services) await expect.poll(async () => (await fetch(`${url}/readyz`)).status, limit).toBe(200);
  const more = send(4);
  const back = await stopWithSavepoint(services[1] as Running, "back");
  await more;
  expect(await Promise.all(services.map((each) => each.exited))).toEqual([0, 0]);

  await job("three", 3, "--from-savepoint", back);
  await send(5);
  // One row in every partition closes all windows before it, and opens one that nobody sees.
  await produce(Array.from({ length: partitions }, () => ({ customer: "end", cents: 0, at: 9_000_000 })));
  await expect.poll(seen, limit).toEqual(expected());
  await client.deleteTopics(Object.values(topics));
});
