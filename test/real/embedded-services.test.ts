// The services of the examples as processes of their own on a real Kafka: two of each share the work, and what they give is exact.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, test } from "vitest";
import { clientOptions } from "../../runtime/src/connectors/kafka/client/client-options.ts";
import { batchOf, fetchFrom, produceTo } from "../../runtime/src/connectors/kafka/client/kafka-client.suite.ts";
import { WireKafkaClient } from "../../runtime/src/connectors/kafka/client/wire-client.ts";
import { realKafka } from "../support/real.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const { bootstrap } = realKafka();
const minute = 60_000;
const partitions = 4;
const limit = { timeout: 60_000, interval: 200 };
let client: WireKafkaClient;
const children: ChildProcess[] = [];

beforeEach(() => {
  client = new WireKafkaClient(clientOptions({ bootstrapServers: bootstrap }));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  await client.close();
});

interface Running {
  readonly child: ChildProcess;
  readonly output: () => string;
  readonly exited: Promise<number | null>;
}

function run(service: string, env: Readonly<Record<string, string>>, file = "service"): Running {
  const child = spawn(process.execPath, [`docs/examples/${service}/${file}.ts`], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, BROKERS: bootstrap.join(","), ...env },
  });
  children.push(child);
  let text = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (more: string) => {
      text += more;
    });
  }
  return { child, output: () => text, exited: new Promise((resolve) => child.once("exit", resolve)) };
}

async function rowsOf(topic: string): Promise<readonly Readonly<Record<string, unknown>>[]> {
  const rows: string[] = [];
  for (let partition = 0; partition < partitions; partition++)
    rows.push(...(await fetchFrom(client, topic, { partition }, "read_committed")).values);
  return rows.map((row) => JSON.parse(row) as Record<string, unknown>);
}

async function send(topic: string, rows: readonly object[]): Promise<void> {
  await client.topics([topic]);
  for (let partition = 0; partition < partitions; partition++) {
    const own = rows.filter((_row, index) => index % partitions === partition).map((row) => JSON.stringify(row));
    if (own.length > 0) expect(await produceTo(client, topic, partition, batchOf(own))).toBe(0);
  }
}

async function topicsFor(...names: readonly string[]): Promise<void> {
  await client.createTopics(names.map((name) => ({ name, partitions, replicationFactor: -1, configs: { "retention.ms": "-1" } })));
}

/** Ends a service as its platform does, and expects it to go in order. */
async function stop({ child, exited, output }: Running): Promise<void> {
  await expect.poll(output, limit).toContain("running");
  child.kill("SIGTERM");
  expect([await exited, output()]).toEqual([0, expect.stringContaining("closed")]);
}

test("clickstream: clicks with the region of their time, per minute, by two processes", async () => {
  const id = `clickstream-${process.pid}-${Date.now()}`;
  const topics = { CLICKS: `${id}-clicks`, PROFILES: `${id}-profiles`, OUTPUT: `${id}-views` };
  await topicsFor(...Object.values(topics));
  const users = Array.from({ length: 20 }, (_, user) => `u${user}`);
  const regionOf = (user: number, timeMs: number): string => (timeMs < 5 * minute ? "north" : user % 2 === 0 ? "south" : "east");
  // Everybody is in the north until minute five. A last profile and click close every window before them.
  const profiles = [0, 5 * minute].flatMap((since) => users.map((user, index) => ({ user, region: regionOf(index, since), since })));
  const clicks = Array.from({ length: 2000 }, (_, index) => ({
    user: `u${index % 20}`,
    page: "/",
    at: 1000 + Math.floor((index * 10 * minute) / 2000),
  }));
  const expected = new Map<string, number>();
  for (const [index, click] of clicks.entries()) {
    const key = `${regionOf(index % 20, click.at)} ${Math.floor(click.at / minute)}`;
    expected.set(key, (expected.get(key) ?? 0) + 1);
  }
  const ends = Array.from({ length: partitions }, () => ({ user: "end", at: 60 * minute, since: 60 * minute, page: "/", region: "end" }));
  await send(topics.PROFILES, [...profiles, ...ends]);
  await send(topics.CLICKS, [...clicks, ...ends]);
  const both = [run("clickstream", { APPLICATION_ID: id, ...topics }), run("clickstream", { APPLICATION_ID: id, ...topics })];
  const seen = async () =>
    Object.fromEntries(
      (await rowsOf(topics.OUTPUT))
        .map(({ region, windowStart, views }) => [`${String(region)} ${Number(windowStart) / minute}`, views] as const)
        .toSorted(),
    );
  try {
    await expect.poll(seen, limit).toEqual(Object.fromEntries([...expected].toSorted()));
  } catch (error) {
    throw new Error(both.map((each) => each.output()).join("\n"), { cause: error });
  }
  const rows = await rowsOf(topics.OUTPUT);
  expect(rows.length).toBe(expected.size);
  for (const each of both) await stop(each);
});

test("word-count: two processes of which one ends, and a third that comes, as a pod", async () => {
  const id = `word-count-${process.pid}-${Date.now()}`;
  const topics = { INPUT: `${id}-lines`, OUTPUT: `${id}-counts` };
  await topicsFor(...Object.values(topics));
  const start = (): Running => run("word-count", { APPLICATION_ID: id, ...topics, PORT: "0" });
  const last = async () =>
    Object.fromEntries((await rowsOf(topics.OUTPUT)).map(({ word, times }) => [String(word), times] as const).toSorted());
  const urlOf = async (service: Running): Promise<string> => {
    const found = (): string => /"url":"([^"]+)"/.exec(service.output())?.[1] ?? "";
    await expect.poll(found, limit).not.toBe("");
    return found();
  };
  const query = async (url: string, ...words: readonly string[]): Promise<readonly string[]> => {
    const options = { cwd: root, env: { ...process.env, URLS: url } };
    const { stdout } = await promisify(execFile)(process.execPath, ["docs/examples/word-count/query.ts", ...words], options);
    return stdout.trimEnd().split("\n");
  };
  const [first, second] = [start(), start()];
  await send(
    topics.INPUT,
    Array.from({ length: 40 }, () => ({ text: "to be or not to be" })),
  );
  await expect.poll(last, limit).toEqual({ be: 80, not: 40, or: 40, to: 80 });
  for (const service of [first, second])
    expect(await query(await urlOf(service), "be", "or", "nothing")).toEqual(["be 80", "or 40", "nothing 0", "words: 4"]);
  await stop(first);
  await send(
    topics.INPUT,
    Array.from({ length: 8 }, () => ({ text: "not now" })),
  );
  await expect.poll(last, limit).toEqual({ be: 80, not: 48, now: 8, or: 40, to: 80 });
  // As in a pod: everything from the environment that the operator gives.
  const environment = {
    MILLRACE_APPLICATION_ID: id,
    MILLRACE_KAFKA_BROKERS: bootstrap.join(","),
    MILLRACE_PARAMETERS: JSON.stringify({ brokers: bootstrap.join(","), input: topics.INPUT, output: topics.OUTPUT }),
    MILLRACE_SESSION_TIMEOUT_MS: "6000",
  };
  const third = run("word-count", environment, "pod");
  await send(topics.INPUT, [{ text: "now" }]);
  await expect.poll(last, limit).toEqual({ be: 80, not: 48, now: 9, or: 40, to: 80 });
  await stop(second);
  await stop(third);
  // Its topics and offsets can be made to go, and what it read and wrote stays.
  const reset = async (...more: readonly string[]): Promise<readonly string[]> => {
    const job = "docs/examples/word-count/word-count.ts";
    const args = [
      "runtime/bin/millrace.js",
      "app",
      "reset",
      job,
      "--application-id",
      id,
      "--bootstrap-servers",
      bootstrap.join(","),
      ...more,
    ];
    return (await promisify(execFile)(process.execPath, args, { cwd: root })).stdout.trimEnd().split("\n");
  };
  const topicsOf = ["count-repartition", "count-changelog", "control"].map((name) => `topic ${id}-${name}`);
  const what = [`the offsets of group ${id} (8 partitions)`, ...topicsOf];
  expect(await reset()).toEqual([...what.map((each) => `would delete ${each}`), "nothing was changed; add --yes to do it"]);
  expect(await reset("--yes")).toEqual(what.map((each) => `deleted ${each}`));
  expect((await client.groupOffsets(id)).length).toBe(0);
  expect((await rowsOf(topics.OUTPUT)).length).toBeGreaterThan(0);
});
