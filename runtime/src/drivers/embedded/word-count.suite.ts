// Words counted by embedded applications, for every implementation of the Kafka port: processes come, go and die, and every count is right.
import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, it } from "vitest";
import type { Log } from "../../base/log.ts";
import { silentLog } from "../../base/log.ts";
import type { KafkaClient } from "../../connectors/kafka/client/kafka-client.ts";
import { batchOf, fetchFrom, produceTo } from "../../connectors/kafka/client/kafka-client.suite.ts";
import { kafkaSink } from "../../connectors/kafka/sink/kafka-sink.ts";
import { kafkaSource } from "../../connectors/kafka/source/kafka-source.ts";
import { string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { job } from "../../dsl/job.ts";
import { count } from "../../operators/aggregate/call.ts";
import { json } from "../../serde/index.ts";
import { EmbeddedApp } from "./app.ts";
import type { EmbeddedConfig } from "./config.ts";

const Line = schema({ text: string() });
const Word = schema({ word: string() });
const bootstrapServers = "127.0.0.1:1";
const log: Log = silentLog;
// The records are of 2001: a broker would delete them by their age.
const keepAll = { "retention.ms": "-1" };

export function wordCountSuite(implementation: string, connect: () => KafkaClient, sessionTimeoutMs: number): void {
  describe(`word count, embedded, ${implementation}`, () => {
    const run = `words-${randomUUID()}`;
    let number = 0;
    const open: EmbeddedApp[] = [];
    const clients: KafkaClient[] = [];
    const limit = { timeout: 60_000, interval: 100 };

    afterEach(async () => {
      for (const app of open.splice(0)) await app.close(5000);
      for (const client of clients.splice(0)) await client.close();
    });

    const setUp = async (partitions: number) => {
      const name = `${run}-${number++}`;
      const client = connect();
      clients.push(client);
      await client.createTopics(
        ["lines", "counts"].map((topic) => ({ name: `${name}-${topic}`, partitions, replicationFactor: -1, configs: keepAll })),
      );
      await client.topics([`${name}-lines`, `${name}-counts`]);
      const words = job(name, (flow) => {
        flow
          .source("lines", kafkaSource({ bootstrapServers, topic: `${name}-lines`, format: json(Line) }))
          .flatMap(Word, (line, emit) => {
            for (const word of line.text.split(" ")) emit({ word });
          })
          .keyBy("word")
          .aggregate({ n: count() }, { uid: "count", upsert: true })
          .to("counts", kafkaSink({ bootstrapServers, topic: `${name}-counts`, format: json(), key: "word", mode: "upsert" }));
      });
      const expected = new Map<string, number>();
      return {
        name,
        client,
        start: async (config: EmbeddedConfig = {}): Promise<EmbeddedApp> => {
          const app = new EmbeddedApp(words, { sessionTimeoutMs, log, ...config }, { openClient: connect });
          open.push(app);
          await app.start();
          return app;
        },
        say: async (lines: readonly string[]): Promise<void> => {
          for (let partition = 0; partition < partitions; partition++) {
            const own = lines.filter((_line, index) => index % partitions === partition);
            if (own.length === 0) continue;
            expect(await produceTo(client, `${name}-lines`, partition, batchOf(own.map((text) => JSON.stringify({ text }))))).toBe(0);
          }
          for (const word of lines.flatMap((line) => line.split(" "))) expected.set(word, (expected.get(word) ?? 0) + 1);
        },
        /** Every count that was ever put out, by word, in order. */
        counts: async (): Promise<Map<string, number[]>> => {
          const seen = new Map<string, number[]>();
          for (let partition = 0; partition < partitions; partition++) {
            for (const value of (await fetchFrom(client, `${name}-counts`, { partition }, "read_committed")).values) {
              const { word, n } = JSON.parse(value) as { word: string; n: number };
              seen.set(word, [...(seen.get(word) ?? []), n]);
            }
          }
          return seen;
        },
        expected,
      };
    };
    type Setting = Awaited<ReturnType<typeof setUp>>;
    const settled = async ({ counts, expected }: Setting): Promise<void> => {
      const last = async () => new Map([...(await counts())].map(([word, all]) => [word, all.at(-1)] as const).toSorted());
      await expect.poll(last, limit).toEqual(new Map([...expected].toSorted()));
    };
    const some = (from: number, many: number): string[] =>
      Array.from({ length: many }, (_, index) => `w${(from + index) % 17} w${(from + index) % 5} all`);

    it("is right in one process", async () => {
      const setting = await setUp(3);
      await setting.say(some(0, 50));
      const app = await setting.start();
      await settled(setting);
      expect(app.state).toBe("running");
      expect(app.health()).toMatchObject({ ready: true });
      await setting.say(some(50, 50));
      await settled(setting);
    });

    it("goes on where it was after a close, with the state from the changelog", async () => {
      const setting = await setUp(3);
      await setting.say(some(0, 60));
      const first = await setting.start();
      await settled(setting);
      await first.close();
      expect(first.state).toBe("closed");
      await setting.say(some(60, 40));
      const second = await setting.start();
      await settled(setting);
      expect(second.health().tasks.reduce((sum, task) => sum + task.restore.records, 0)).toBeGreaterThan(0);
    });

    it("reads only what came after its last commit when it starts again with its disk", async () => {
      const setting = await setUp(3);
      const stateDirectory = await mkdtemp(join(tmpdir(), "embedded-"));
      try {
        await setting.say(Array.from({ length: 300 }, (_, index) => `u${index}`));
        const first = await setting.start({ stateDirectory });
        await settled(setting);
        await first.close();
        const second = await setting.start({ stateDirectory });
        await expect.poll(() => second.state, limit).toBe("running");
        expect(second.health().tasks.reduce((sum, task) => sum + task.restore.records, 0)).toBe(0);
        await setting.say(["u1 u2 new", "u299"]);
        await settled(setting);
        await second.close();
        const elsewhere = await setting.start();
        await expect.poll(() => elsewhere.state, limit).toBe("running");
        expect(elsewhere.health().tasks.reduce((sum, task) => sum + task.restore.records, 0)).toBeGreaterThan(300);
        await setting.say(["new new"]);
        await settled(setting);
        await elsewhere.close();
        // Meanwhile others have written: the copy goes on from where it stands.
        const third = await setting.start({ stateDirectory });
        await expect.poll(() => third.state, limit).toBe("running");
        const restored = third.health().tasks.reduce((sum, task) => sum + task.restore.records, 0);
        expect([restored > 0, restored < 10]).toEqual([true, true]);
        await setting.say(["new u7"]);
        await settled(setting);
        await third.close();
      } finally {
        await rm(stateDirectory, { recursive: true, force: true });
      }
    });

    it("deletes from its repartition topic what it has committed", async () => {
      const setting = await setUp(2);
      await setting.start({ purgeIntervalMs: 200 });
      await setting.say(some(0, 40));
      await settled(setting);
      const topic = `${setting.name}-count-repartition`;
      const at = async (which: "earliest" | "latest") => {
        const asked = [0, 1].map((partition) => ({ topic, partition, at: which }));
        return (await setting.client.listOffsets(asked, "read_committed")).map((each) => each.offset);
      };
      // All but the marker that ends the last transaction.
      await expect
        .poll(async () => {
          const [starts, ends] = [await at("earliest"), await at("latest")];
          return starts.map((start, index) => [start > 0, (ends[index] as number) - start <= 1]);
        }, limit)
        .toEqual([
          [true, true],
          [true, true],
        ]);
      await setting.say(some(40, 40));
      await settled(setting);
    });

    it("spreads over two processes, and each count is put out exactly once", async () => {
      const setting = await setUp(4);
      await setting.say(some(0, 60));
      const first = await setting.start();
      await settled(setting);
      const second = await setting.start();
      await expect
        .poll(() => [first, second].map((app) => app.health().tasks.filter((task) => task.state === "running").length), limit)
        .toEqual([4, 4]);
      await setting.say(some(60, 60));
      await settled(setting);
      await first.close();
      await expect.poll(() => second.health().tasks.filter((task) => task.state === "running").length, limit).toBe(8);
      await setting.say(some(120, 60));
      await settled(setting);
      for (const [word, all] of await setting.counts()) expect([word, all]).toEqual([word, [...new Set(all)].toSorted((a, b) => a - b)]);
    });

    it("finds the state of a process that comes back under its instance id at another address", async () => {
      const setting = await setUp(4);
      await setting.say(some(0, 60));
      const config = { sessionTimeoutMs: 60_000, heartbeatIntervalMs: 200, http: { port: 0 } };
      const first = await setting.start({ ...config, instanceId: "a" });
      const second = await setting.start({ ...config, instanceId: "b" });
      const running = (app: EmbeddedApp) => () => app.health().tasks.filter((task) => task.state === "running").length;
      await expect.poll(running(second), limit).toBe(4);
      await settled(setting);
      await second.close();
      const back = await setting.start({ ...config, instanceId: "b" });
      expect(back.url).not.toBe(second.url);
      await expect.poll(running(back), limit).toBe(4);
      const words = async (): Promise<number> => (await first.queries.query({ uid: "count", query: { kind: "all" } })).rows.length;
      await expect.poll(() => words().catch(String), limit).toBe(setting.expected.size);
    });
  });
}
