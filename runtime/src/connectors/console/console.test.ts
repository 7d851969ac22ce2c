// What the console sink prints, when it waits, and how it fails; the blackhole.
import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { isMillraceError } from "../../base/errors.ts";
import { silentLog } from "../../base/log.ts";
import { Batch, type RowKind, Rows } from "../../core/batch/batch.ts";
import { rowWriter } from "../../core/batch/rows-builder.ts";
import type { SinkContext } from "../../core/ports/sink.ts";
import { int64, string, timestamp } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { sinkContract, type SinkRow } from "../contract/index.ts";
import { blackhole, consoleSink, type ConsoleSinkOptions } from "./index.ts";

const context: SinkContext = {
  jobName: "job",
  uid: "out",
  subtask: 0,
  parallelism: 1,
  clock: systemClock,
  log: silentLog,
  checkpointIntervalMs: Number.POSITIVE_INFINITY,
};

class Page extends Writable {
  text = "";
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    setTimeout(() => {
      this.text += chunk.toString();
      done();
    }, 1);
  }
}

sinkContract(test, {
  name: "console, ndjson",
  open: async () => {
    const page = new Page({ highWaterMark: 10 });
    return {
      sink: () => consoleSink({ format: "ndjson", output: page }),
      visible: async () => page.text.split("\n").flatMap((line) => (line === "" ? [] : [JSON.parse(line) as SinkRow])),
      dispose: async () => {
        page.destroy();
      },
    };
  },
  failures: [
    {
      name: "an output that is closed",
      code: "CONSOLE_WRITE_FAILED",
      open: async () => {
        const page = new Page();
        const sink = consoleSink({ output: page });
        return {
          ...sink,
          openWriter: async (...given) => {
            const writer = await sink.openWriter(...given);
            page.destroy(new Error("nobody reads"));
            await new Promise((resolve) => setImmediate(resolve));
            return writer;
          },
        };
      },
    },
  ],
});

const rowSchema = schema({ id: int64(), name: string().nullable(), at: timestamp({ text: "iso" }), note: string().optional() });

function changes(): Batch {
  const rows = new Rows(rowSchema, 4);
  const put = rowWriter(rowSchema);
  rows.ready.fill(1);
  rows.size = 4;
  for (const [i, kind] of ([0, 1, 2, 3] as const).entries()) {
    put(rows, i, {
      id: i === 0 ? 2n ** 60n : BigInt(i),
      name: i === 3 ? null : `"n${i}"`,
      at: i * 1000,
      ...(i === 1 ? { note: "\u00e9" } : {}),
    });
    rows.setKind(i, kind as RowKind);
  }
  return new Batch(rows);
}

async function printed(options: ConsoleSinkOptions): Promise<string> {
  const page = new Page();
  const writer = await consoleSink({ ...options, output: page }).openWriter(context, rowSchema);
  writer.write(changes());
  writer.write(changes());
  await writer.prepare(1);
  await writer.close();
  await new Promise((resolve) => page.end(resolve));
  return page.text;
}

test("rows are printed with their kinds, every value exactly", async () => {
  const once = [
    '+I { id: "1152921504606846976", name: "\\"n0\\"", at: "1970-01-01T00:00:00.000Z" }',
    '-U { id: 1, name: "\\"n1\\"", at: "1970-01-01T00:00:01.000Z", note: "\u00e9" }',
    '+U { id: 2, name: "\\"n2\\"", at: "1970-01-01T00:00:02.000Z" }',
    '-D { id: 3, name: null, at: "1970-01-01T00:00:03.000Z" }',
  ];
  expect(await printed({})).toBe(`${[...once, ...once].join("\n")}\n`);
  expect(await printed({ label: "bids", limit: 2 })).toBe(`bids ${once[0]}\nbids ${once[1]}\nfurther rows of out are not printed\n`);
  const objects = (await printed({ format: "ndjson", limit: 4 })).split("\n").slice(0, 4);
  expect(objects.map((line) => JSON.parse(line) as object)).toEqual([
    { id: "1152921504606846976", name: '"n0"', at: "1970-01-01T00:00:00.000Z" },
    { id: 1, name: '"n1"', at: "1970-01-01T00:00:01.000Z", note: "\u00e9", $kind: "-U" },
    { id: 2, name: '"n2"', at: "1970-01-01T00:00:02.000Z", $kind: "+U" },
    { id: 3, name: null, at: "1970-01-01T00:00:03.000Z", $kind: "-D" },
  ]);
});

test("a slow terminal is waited for", async () => {
  const page = new Page({ highWaterMark: 1 });
  const writer = await consoleSink({ output: page }).openWriter(context, rowSchema);
  expect(writer.ready()).toBe(undefined);
  writer.write(changes());
  const room = writer.ready();
  expect(room).toBeInstanceOf(Promise);
  await room;
  expect(page.text.split("\n").length).toBe(5);
  expect(writer.ready()).toBe(undefined);
  await writer.close();
});

test("options that cannot be are refused, the blackhole takes everything", async () => {
  const code = (options: object): string => {
    try {
      consoleSink(options);
    } catch (error) {
      return isMillraceError(error) ? error.code : String(error);
    }
    return "none";
  };
  expect(code({ colour: true })).toBe("OPTION_UNKNOWN");
  expect(code({ format: "xml" })).toBe("OPTION_INVALID");
  expect(code({ limit: -1 })).toBe("OPTION_INVALID");
  const writer = await blackhole().openWriter(context, rowSchema);
  writer.write(changes());
  expect(writer.ready()).toBe(undefined);
  await writer.flush();
  expect((await writer.prepare(1)).length).toBe(0);
  await writer.commit(1);
  await writer.close();
});
