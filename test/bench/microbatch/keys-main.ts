// A running count over many keys in a process of its own, from the sources, so that its storage can be counted; prints one line of JSON.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { openStorage } from "../../../runtime/src/checkpoint/storage/open-storage.ts";
import { int53 } from "../../../runtime/src/core/schema/field.ts";
import { schema } from "../../../runtime/src/core/schema/schema.ts";
import { count, sum } from "../../../runtime/src/dataframe/expression/functions.ts";
import type { BatchSink } from "../../../runtime/src/dataframe/query.ts";
import { Session } from "../../../runtime/src/dataframe/session.ts";
import { StreamingQuery } from "../../../runtime/src/drivers/microbatch/streaming-query.ts";
import { counting } from "./counting-storage.ts";
import { keyOf, keysSource, valueOf } from "./keys-source.ts";

/** Keeps the latest count and sum of each key. */
function latestSink(counts: Float64Array, sums: Float64Array): BatchSink {
  return {
    kind: "batch",
    connector: "latest",
    options: {},
    open: async ({ fields }) => {
      const [key, n, total] = ["key", "n", "total"].map((name) => fields.field(name).index) as [number, number, number];
      return {
        write: ({ rows, selection, count: selected }) => {
          const keysOf = rows.column(key).numbers;
          const countsOf = rows.column(n).numbers;
          const sumsOf = rows.column(total).numbers;
          for (let k = 0; k < selected; k++) {
            const row = selection[k] as number;
            counts[keysOf[row] as number] = countsOf[row] as number;
            sums[keysOf[row] as number] = sumsOf[row] as number;
          }
        },
        finish: async () => {},
        close: async () => {},
      };
    },
  };
}

const options = JSON.parse(process.argv[2] ?? "{}") as Record<string, string>;
const folder = await mkdtemp(join(tmpdir(), "microbatch-bench-"));
const checkpointLocation = pathToFileURL(folder).href;

function used(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
}

/** A running count over many keys: each once, then small batches of keys at random, and at last still smaller ones. */
async function keys(): Promise<object> {
  const total = Number(options["keys"]);
  const perBatch = Number(options["batch"]);
  const batches = Number(options["batches"]);
  const smaller = Number(options["smaller"]);
  const rows = total + batches * perBatch + smaller * (perBatch / 10);
  const session = new Session();
  const Row = schema({ key: int53(), value: int53() });
  const written = { bytes: 0 };
  const counts = new Float64Array(total);
  const sums = new Float64Array(total);
  const query = session
    .readStream({ source: keysSource(Row, total, rows) }, { name: "rows" })
    .groupBy("key")
    .agg((c) => ({ n: count(), total: sum(c.value) }), { name: "keys" })
    .writeStream(latestSink(counts, sums), { name: "keys", mode: "update", trigger: { availableNow: true } });
  interface Figures {
    readonly rows: number;
    readonly ms: number;
    readonly cpuMs: number;
    readonly bytes: number;
    readonly keys: number;
  }
  const figures: Figures[] = [];
  let read = 0;
  let cpu = process.cpuUsage();
  let bytesBefore = 0;
  const running = await StreamingQuery.start(query, {
    checkpointLocation,
    openStorage: async (url, given) => counting(await openStorage(url, given), written),
    get maxRecordsPerTrigger() {
      return read < total ? 500_000 : read < total + batches * perBatch ? perBatch : perBatch / 10;
    },
    onProgress: (one) => {
      read += one.numInputRows;
      figures.push({
        rows: one.numInputRows,
        ms: one.batchDuration,
        cpuMs: used(cpu),
        bytes: written.bytes - bytesBefore,
        keys: one.stateOperators[0]?.numRowsTotal ?? 0,
      });
      cpu = process.cpuUsage();
      bytesBefore = written.bytes;
    },
  });
  await running.done;
  const wantedCounts = new Float64Array(total);
  const wantedSums = new Float64Array(total);
  for (let index = 0; index < rows; index++) {
    const key = keyOf(index, total);
    wantedCounts[key] = (wantedCounts[key] as number) + 1;
    wantedSums[key] = (wantedSums[key] as number) + valueOf(index);
  }
  const right = wantedCounts.every((n, key) => counts[key] === n && sums[key] === wantedSums[key]);
  return { right, figures, peakBytes: process.resourceUsage().maxRSS * 1024 };
}

try {
  process.stdout.write(`${JSON.stringify(await keys())}\n`);
} finally {
  await rm(folder, { recursive: true, force: true });
}
