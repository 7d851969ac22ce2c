// Manifests of batches in S3, against a real server: whole batches whatever happens to the writer.
import { randomUUID } from "node:crypto";
import { DeleteObjectsCommand, ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { afterAll, expect, test } from "vitest";
import { realS3 } from "../../../../../test/support/real.ts";
import { S3Output } from "./s3-output.ts";
import { type BatchesWorld, expectWholeBatches } from "./whole-batches.suite.ts";

const { endpoint, region, bucket, accessKeyId, secretAccessKey } = realS3();
const s3 = { endpoint, region, accessKeyId, secretAccessKey };
const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials: { accessKeyId, secretAccessKey } });
afterAll(() => client.destroy());

async function s3World(): Promise<BatchesWorld> {
  const prefix = `whole-batches-test/${randomUUID()}`;
  return {
    path: `s3://${bucket}/${prefix}`,
    s3,
    open: () => new S3Output(bucket, prefix, s3),
    died: () => {},
    restart: async () => {},
    dispose: async () => {
      const uploads = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: `${prefix}/` }));
      expect(uploads.Uploads ?? [], "what the writer that died had begun is removed").toEqual([]);
      const page = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: `${prefix}/` }));
      const keys = (page.Contents ?? []).map(({ Key }) => ({ Key }));
      if (keys.length > 0) await client.send(new DeleteObjectsCommand({ Bucket: bucket, Delete: { Objects: keys } }));
    },
  };
}

test("a writer that dies before or after any write leaves whole batches, each once", async () => {
  expect(await expectWholeBatches(s3World, 1)).toBe(2 * 4 + 1);
}, 300_000);
