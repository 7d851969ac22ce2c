// Tasks that read, and the reader that they read with: it is let go only when it is not in use.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, expect, test } from "vitest";
import { systemClock } from "../../../../base/clock.ts";
import { silentLog } from "../../../../base/log.ts";
import { openStorage } from "../../../../checkpoint/storage/open-storage.ts";
import { memorySource } from "../../../../connectors/memory/index.ts";
import { int53, string } from "../../../../core/schema/field.ts";
import { schema } from "../../../../core/schema/schema.ts";
import { analyze } from "../../../../dataframe/analysis/analyzer.ts";
import { count } from "../../../../dataframe/expression/functions.ts";
import { Session } from "../../../../dataframe/session.ts";
import { memoryBackend } from "../../../../state/memory/memory-backend.ts";
import { Kernel } from "../../kernel/kernel.ts";
import { buildStages } from "../../stages/build-stages.ts";
import { distribute } from "../distribution.ts";
import type { ReadTask } from "../messages.ts";
import { OutputClient } from "../output-server.ts";
import { TaskWorker } from "./task-worker.ts";

const Word = schema({ word: string(), n: int53() });

const opened: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function openWorker(source = memorySource(Word)): Promise<{ worker: TaskWorker; source: typeof source; scan: string }> {
  const directory = await mkdtemp(join(tmpdir(), "task-worker-"));
  opened.push(() => rm(directory, { recursive: true, force: true }));
  const { relation, mode } = new Session()
    .readStream(source, { name: "words" })
    .groupBy("word")
    .agg(() => ({ n: count() }), { name: "totals" })
    .writeStream({ kind: "foreachBatch", fn: () => {} }, { name: "tested", mode: "update" });
  const kernel = await Kernel.open({ directory: join(directory, "analysis") });
  const stages = buildStages(await analyze(relation, kernel).finally(() => kernel.close()), mode);
  const distribution = distribute(stages);
  if ("reason" in distribution) throw new Error(distribution.reason);
  const storage = await openStorage(pathToFileURL(join(directory, "checkpoints")).href, {});
  opened.push(() => storage.close());
  const client = new OutputClient(undefined, undefined);
  opened.push(() => client.close());
  const worker = new TaskWorker({
    ...{ executorId: "a", queryName: "tested", stages, distribution, maxParallelism: 16, storage, storageOptions: {}, client },
    ...{ kernel: {}, directory: join(directory, "work"), stateBackend: memoryBackend(), outputBytes: 1 << 20 },
    ...{ clock: systemClock, log: silentLog },
  });
  opened.push(() => worker.close());
  return { worker, source, scan: (stages.scans[0] as { uid: string }).uid };
}

// To the end of its splits: it goes on while they are open.
const readTask = (scan: string): ReadTask => ({
  kind: "read",
  group: { scan, name: `${scan}#1-0`, splits: [{ id: "split-0", position: 0 }] },
  bounded: true,
  partitions: 2,
  work: { kind: "poll", quotas: null, maxRecords: null, maxMs: 1000 },
});

/** Settles when a reader of the source has been asked for more than there is. */
function whenWaiting(source: ReturnType<typeof memorySource>): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>();
  const openReader = source.openReader.bind(source);
  source.openReader = async () => {
    const reader = await openReader();
    const poll = reader.poll.bind(reader);
    reader.poll = (most) => {
      const polled = poll(most);
      if (polled === null) resolve();
      return polled;
    };
    return reader;
  };
  return promise;
}

test("a task that reads while its group is let go reads all the same, and who asks next gets an open reader", async () => {
  const { worker, source, scan } = await openWorker();
  const waits = whenWaiting(source);
  source.push({ word: "a", n: 1 });
  const task = readTask(scan);
  const reading = worker.run(task, "task-1.0");
  await waits;
  const letGo = worker.release([], [task.group.name]);
  const looking = worker.look(task.group, true, 0);
  source.push({ word: "b", n: 2 });
  source.end();
  expect(await reading).toMatchObject({ records: 2 });
  await letGo;
  expect(await looking).toEqual({ "split-0": 2 });
});

test("a task that reads when its executor ends fails, and does not go on for ever", async () => {
  const { worker, source, scan } = await openWorker();
  const waits = whenWaiting(source);
  source.push({ word: "a", n: 1 });
  const reading = worker.run(readTask(scan), "task-1.0");
  await waits;
  const closed = worker.close();
  await expect(reading).rejects.toMatchObject({ code: "JOB_STOPPING" });
  await closed;
});
