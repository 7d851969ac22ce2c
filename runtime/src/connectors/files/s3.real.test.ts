// Files in S3, read and written, against a real server: the connector contract, ranges, failures and unfinished uploads.
import { randomUUID } from "node:crypto";
import { gunzipSync, gzipSync } from "node:zlib";
import {
  DeleteObjectsCommand,
  GetObjectCommand,
  ListMultipartUploadsCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, expect, test } from "vitest";
import { realS3 } from "../../../../test/support/real.ts";
import { int53, string } from "../../core/schema/field.ts";
import { schema } from "../../core/schema/schema.ts";
import { sinkContract, type SinkRow, sourceContract } from "../contract/index.ts";
import { contractContext } from "../contract/suite.ts";
import { filesSink, files, type FilesS3Options, type FilesSinkOptions } from "./index.ts";
import { lines } from "./sink/line-format.suite.ts";
import { batchOf, sinkContext } from "./sink/sink-fixture.suite.ts";
import { allOf, lineFormat, readWhole } from "./source/files-fixture.suite.ts";

const { endpoint, region, bucket, accessKeyId, secretAccessKey } = realS3();
const s3: FilesS3Options = { endpoint, region, accessKeyId, secretAccessKey };
const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
afterAll(() => client.destroy());

const newPrefix = (): string => `files-test/${randomUUID()}`;

async function put(key: string, body: string | Uint8Array): Promise<string> {
  await client.send(new PutObjectCommand({ Bucket: bucket, Key: key, Body: body }));
  return `s3://${bucket}/${key}`;
}

async function keysBelow(prefix: string): Promise<string[]> {
  const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: `${prefix}/` }));
  return (page.Contents ?? []).map((object) => object.Key ?? "").sort();
}

async function remove(prefix: string): Promise<void> {
  const keys = await keysBelow(prefix);
  if (keys.length > 0) await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: keys.map((Key) => ({ Key })) } }));
}

async function get(key: string): Promise<Buffer> {
  const object = await client.send(new GetObjectCommand({ Bucket: bucket, Key: key }));
  return Buffer.from((await object.Body?.transformToByteArray()) ?? []);
}

async function uploads(prefix: string): Promise<string[]> {
  const page = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: `${prefix}/` }));
  return (page.Uploads ?? []).map((upload) => upload.Key ?? "").sort();
}

for (const packed of [false, true]) {
  sourceContract(test, {
    name: `lines in S3${packed ? ", gzip" : ""}, new objects found`,
    open: async () => {
      const prefix = newPrefix();
      const records = new Map<string, readonly string[]>();
      const add = async (name: string): Promise<{ readonly id: string; readonly records: readonly string[] }> => {
        const content = Array.from({ length: 6 }, (_, i) => `${name}:${i}`);
        const text = `${content.join("\n")}\n`;
        return { id: await put(`${prefix}/${name}${packed ? ".gz" : ""}`, packed ? gzipSync(text) : text), records: content };
      };
      for (const name of ["a", "b/c"]) {
        const added = await add(name);
        records.set(added.id, added.records);
      }
      await put(`${prefix}/.hidden`, "x");
      await put(`${prefix}-other/a`, "x");
      const { source } = files({ path: `s3://${bucket}/${prefix}/**`, format: lineFormat, bounded: false, discoverInterval: 50, s3 });
      return {
        source,
        records,
        addSplit: () => add("d"),
        dispose: async () => {
          await remove(prefix);
          await remove(`${prefix}-other`);
        },
      };
    },
    failures: [
      {
        name: "a bucket that is not there",
        code: "FILES_PATH_MISSING",
        open: async () => files({ path: "s3://no-such-bucket-here/x", format: lineFormat, s3 }).source,
      },
      {
        name: "an object that is not there",
        code: "FILES_PATH_MISSING",
        open: async () => files({ path: `s3://${bucket}/${newPrefix()}`, format: lineFormat, s3 }).source,
      },
      {
        name: "a wrong key",
        code: "FILES_DENIED",
        open: async () => files({ path: `s3://${bucket}/x`, format: lineFormat, s3: { ...s3, secretAccessKey: "wrong" } }).source,
      },
    ],
  });
}

const worlds: readonly (readonly [string, Omit<FilesSinkOptions, "path">])[] = [
  ["lines to S3", { format: lines, s3 }],
  ["gzip lines to S3, small files", { format: lines, compression: "gzip", maxFileRows: 3, s3 }],
];
for (const [name, options] of worlds) {
  sinkContract(test, {
    name,
    open: async () => {
      const prefix = newPrefix();
      return {
        sink: () => filesSink({ ...options, path: `s3://${bucket}/${prefix}` }),
        visible: async () => {
          const texts = await Promise.all(
            (await keysBelow(prefix)).map(async (key) => (key.endsWith(".gz") ? gunzipSync(await get(key)) : await get(key)).toString()),
          );
          return texts.flatMap((text) => text.split("\n").filter((line) => line !== "")).map((line) => JSON.parse(line) as SinkRow);
        },
        dispose: () => remove(prefix),
      };
    },
    failures: [
      {
        name: "a bucket that is not there",
        code: "FILES_PATH_MISSING",
        open: async () => filesSink({ ...options, path: "s3://no-such-bucket-here/x" }),
      },
    ],
    randomLives: 5,
  });
}

const rows = schema({ id: int53(), name: string() });

test("Parquet and large plain and compressed objects are read back from S3 as they were written", async () => {
  const prefix = newPrefix();
  const written = Array.from({ length: 60_000 }, (_, id) => ({ id, name: `name ${id} ${"x".repeat(id % 200)}` }));
  for (const [format, compression] of [
    ["parquet", "none"],
    ["csv", "none"],
    ["csv", "zstd"],
  ] as const) {
    const path = `s3://${bucket}/${prefix}/${format}-${compression}`;
    const writer = await filesSink({ path, format, compression, s3 }).openWriter(sinkContext(), rows);
    for (let i = 0; i < written.length; i += 10_000) {
      await writer.ready();
      writer.write(batchOf(rows, written.slice(i, i + 10_000)));
    }
    await writer.prepare(1);
    await writer.commit(1);
    await writer.close();
    const result = await readWhole(files({ path, format, schema: rows, s3 }).source);
    expect(result.bad).toEqual([]);
    expect(allOf(result)).toEqual(written);
  }
  await remove(prefix);
});

test("an object that is replaced while it is read is told", async () => {
  const prefix = newPrefix();
  const body = `${"x".repeat(99)}\n`.repeat(50_000);
  const path = await put(`${prefix}/a`, body);
  const reader = await files({ path, format: lineFormat, s3 }).source.openReader(contractContext());
  reader.assign([{ id: path, position: { at: 0 } }]);
  while (reader.poll(1) === null) await reader.ready();
  // Two blocks have been read ahead by now, three are left.
  await put(`${prefix}/a`, `${"y".repeat(99)}\n`.repeat(50_000));
  const drain = async (): Promise<never> => {
    for (;;) if (reader.poll(4096) === null) await reader.ready();
  };
  await expect(drain()).rejects.toMatchObject({ code: "FILES_CHANGED" });
  await reader.close();
  await remove(prefix);
});

test("uploads that an earlier run left behind are removed, those of others are not", async () => {
  const prefix = newPrefix();
  const sink = filesSink({ path: `s3://${bucket}/${prefix}`, format: lines, s3 });
  const open = async (uid: string): Promise<void> => {
    const writer = await sink.openWriter({ ...sinkContext(), uid }, rows);
    writer.write(batchOf(rows, [{ id: 1, name: "a" }]));
    await writer.flush();
    // Dropped without close, as by a crash.
  };
  await open("out");
  await open("other");
  expect((await uploads(prefix)).length).toBe(2);
  const next = await sink.openWriter(sinkContext(), rows);
  expect((await uploads(prefix)).map((key) => key.slice(prefix.length + 1).split(".")[1])).toEqual(["other"]);
  await next.close();
  const other = await sink.openWriter({ ...sinkContext(), uid: "other" }, rows);
  await other.close();
  expect(await uploads(prefix)).toEqual([]);
});
