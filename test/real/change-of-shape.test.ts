// One job in several lives on a real Kafka: in a cluster's process, in services, in batches. Each begins from the savepoint that the one before
// ended with, records come all the time, and windows are open and timers set at every change.
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
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
const limit = { timeout: 120_000, interval: 200 };
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

interface Scenario {
  readonly send: (phase: number) => Promise<void>;
  /** One row in every partition closes all windows before it, and opens one that nobody sees. */
  readonly close: () => Promise<void>;
  readonly seen: () => Promise<Seen>;
  /** What must be seen of everything sent, worked out from that alone. */
  readonly expected: () => Seen;
  /** Sends, and settles when more is seen than before it. */
  readonly sendUntilSeen: (phase: number) => Promise<void>;
  /** `millrace run` of the job: of its module, or of a manifest of it. */
  readonly job: (storage: string, ...more: readonly string[]) => Promise<Running>;
  /** The manifest of a MicroBatchJob. */
  readonly manifest: (storage: string, fromSavepoint: string) => Promise<readonly string[]>;
  readonly service: (fromSavepoint: string) => Promise<Running>;
  readonly end: () => Promise<void>;
}

interface Seen {
  readonly windows: readonly string[];
  readonly quiet: readonly string[];
}

async function scenario(name: string): Promise<Scenario> {
  const id = `${name}-${process.pid}-${Date.now()}`;
  const topics = { input: `${id}-in`, output: `${id}-out`, quiet: `${id}-quiet` };
  await client.createTopics(
    Object.values(topics).map((topic) => ({ name: topic, partitions, replicationFactor: -1, configs: { "retention.ms": "-1" } })),
  );
  await client.topics(Object.values(topics));
  const sent: Payment[] = [];
  const produce = async (rows: readonly Payment[]): Promise<void> => {
    for (let partition = 0; partition < partitions; partition++) {
      const own = rows.filter((_row, index) => index % partitions === partition).map((row) => JSON.stringify(row));
      if (own.length > 0) expect(await produceTo(client, topics.input, partition, batchOf(own))).toBe(0);
    }
  };
  const rowsOf = async (topic: string, ...fields: readonly string[]): Promise<readonly string[]> => {
    const texts: string[] = [];
    for (let partition = 0; partition < partitions; partition++)
      texts.push(...(await fetchFrom(client, topic, { partition }, "read_committed")).values);
    const rows = texts.map((text) => JSON.parse(text) as Readonly<Record<string, unknown>>);
    return rows.map((row) => fields.map((field) => row[field]).join(" ")).toSorted();
  };
  const seen = async (): Promise<Seen> => ({
    windows: await rowsOf(topics.output, "customer", "windowStart", "payments", "cents"),
    quiet: await rowsOf(topics.quiet, "customer", "since", "payments"),
  });
  const parameters = { brokers: bootstrap.join(","), ...topics };
  const url = (storage: string): string => pathToFileURL(join(folder, storage)).href;
  // Event time goes on by 15 s a phase, so a window is always open; customers come back in every one, so each has a timer.
  const send = async (phase: number): Promise<void> => {
    const rows = Array.from({ length: 600 }, (_, index) => ({
      customer: `c${(index * 7) % 31}`,
      cents: phase * 1000 + index,
      at: 1_000_000 + phase * 15_000 + index * 25 - ((index * 53) % 1500),
    }));
    sent.push(...rows);
    await produce(rows);
  };
  return {
    seen,
    send,
    close: () => produce(Array.from({ length: partitions }, () => ({ customer: "end", cents: 0, at: 9_000_000 }))),
    expected: () => {
      const windows = new Map<string, { payments: number; cents: number }>();
      const quiet = new Map<string, { since: number; payments: number }>();
      for (const { customer, cents, at } of sent) {
        const key = `${customer} ${Math.floor(at / windowMs) * windowMs}`;
        const known = windows.get(key) ?? { payments: 0, cents: 0 };
        windows.set(key, { payments: known.payments + 1, cents: known.cents + cents });
        const before = quiet.get(customer) ?? { since: 0, payments: 0 };
        quiet.set(customer, { since: Math.max(before.since, at), payments: before.payments + 1 });
      }
      return {
        windows: [...windows].map(([key, { payments, cents }]) => `${key} ${payments} ${cents}`).toSorted(),
        quiet: [...quiet].map(([customer, { since, payments }]) => `${customer} ${since} ${payments}`).toSorted(),
      };
    },
    sendUntilSeen: async (phase) => {
      // Counted first: what is sent may be seen at once.
      const before = (await seen()).windows.length;
      await send(phase);
      await expect.poll(async () => (await seen()).windows.length, limit).toBeGreaterThan(before);
    },
    job: (storage, ...more) =>
      run([
        ...["runtime/bin/millrace.js", "run", ...(more.includes("-f") ? [] : ["docs/examples/shapes/spending.ts"])],
        ...Object.entries(parameters).flatMap(([parameter, value]) => ["--param", `${parameter}=${value}`]),
        ...["--storage", url(storage), "--port", "0", "--checkpoint-interval", "300ms", ...more],
      ]),
    manifest: async (storage, fromSavepoint) => {
      const path = join(folder, `${storage}.json`);
      const module = join(root, "docs/examples/shapes/spending.ts");
      const spec = {
        job: { module, initialSavepoint: fromSavepoint },
        trigger: { interval: "100 ms" },
        input: { maxRecordsPerBatch: 250 },
        checkpoints: { storage: url(storage) },
      };
      await writeFile(
        path,
        JSON.stringify({ apiVersion: "millrace.dev/v1alpha1", kind: "MicroBatchJob", metadata: { name: "spending" }, spec }),
      );
      return ["-f", path];
    },
    service: (fromSavepoint) =>
      run(["docs/examples/shapes/service.ts"], {
        APPLICATION_ID: id,
        BROKERS: bootstrap.join(","),
        INPUT: topics.input,
        OUTPUT: topics.output,
        QUIET: topics.quiet,
        STORAGE: url("services"),
        FROM_SAVEPOINT: fromSavepoint,
        PORT: "0",
      }),
    end: () => client.deleteTopics(Object.values(topics)),
  };
}

test("a StreamJob goes on as services and as a StreamJob of another parallelism, and every row counts once", async () => {
  const { send, close, seen, expected, sendUntilSeen, job, service, end } = await scenario("shapes");
  await send(0);
  const first = await job("one");
  await sendUntilSeen(1);
  const sending = send(2);
  const out = await stopWithSavepoint(first, "out");
  await sending;
  await first.exited;

  const services = await Promise.all([service(out), service(out)]);
  await sendUntilSeen(3);
  for (const { url, output } of services) {
    try {
      await expect.poll(async () => (await fetch(`${url}/readyz`)).status, limit).toBe(200);
    } catch (error) {
      throw new Error(`a service does not become ready:\n${output()}`, { cause: error });
    }
  }
  const more = send(4);
  const back = await stopWithSavepoint(services[1] as Running, "back");
  await more;
  expect(await Promise.all(services.map((each) => each.exited))).toEqual([0, 0]);

  await job("three", "--parallelism", "3", "--from-savepoint", back);
  await send(5);
  await close();
  await expect.poll(seen, limit).toEqual(expected());
  await end();
}, 600_000);

test("a StreamJob goes on in batches, as a service, in batches again and as a StreamJob, and every row counts once", async () => {
  const { send, close, seen, expected, sendUntilSeen, job, manifest, service, end } = await scenario("batches");
  /** What a shape takes in, with records on their way when it is stopped. */
  const live = async (running: Running, phase: number, id: string): Promise<string> => {
    await sendUntilSeen(phase);
    const sending = send(phase + 1);
    const savepoint = await stopWithSavepoint(running, id);
    await sending;
    expect(await running.exited, running.output()).toBe(0);
    return savepoint;
  };
  await send(0);
  const first = await live(await job("stream"), 1, "first");
  const second = await live(await job("batches", ...(await manifest("batches", first)), "--parallelism", "2"), 3, "second");
  const third = await live(await service(second), 5, "third");
  const trigger = ["--trigger", "100 ms", "--from-savepoint", third];
  const fourth = await live(await job("more-batches", ...trigger), 7, "fourth");

  await job("stream-again", "--parallelism", "3", "--from-savepoint", fourth);
  await send(9);
  await close();
  await expect.poll(seen, limit).toEqual(expected());
  await end();
}, 600_000);
