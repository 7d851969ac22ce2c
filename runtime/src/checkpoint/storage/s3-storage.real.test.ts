// S3 storage on a real server: the contract, and one clear error for each way that a bucket cannot be used.
import { randomUUID } from "node:crypto";
import { createServer } from "node:net";
import { describe, expect, test } from "vitest";
import { realS3 } from "../../../../test/support/real.ts";
import { openStorage, type StorageOptions } from "./open-storage.ts";
import { snapshotStorageSuite } from "./storage.suite.ts";

const { endpoint, region, bucket, accessKeyId, secretAccessKey } = realS3();
const options: StorageOptions = { s3: { endpoint, region, accessKeyId, secretAccessKey, partBytes: 5 * 1024 * 1024 } };
const prefix = `storage-test-${randomUUID()}`;

snapshotStorageSuite("s3", {
  open: () => openStorage(`s3://${bucket}/${prefix}/suite`, options),
  openOptions: options,
  bigBytes: 13_000_000,
});

describe("s3 storage", () => {
  test("a missing bucket is STORAGE_MISSING and named", async () => {
    const error = await openStorage("s3://no-such-bucket-here/x", options).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "STORAGE_MISSING" });
    expect(String(error)).toContain("no-such-bucket-here");
  });

  test("wrong credentials are STORAGE_DENIED", async () => {
    const wrongSecret = { s3: { ...options.s3, secretAccessKey: "wrong" } };
    await expect(openStorage(`s3://${bucket}/x`, wrongSecret)).rejects.toMatchObject({ code: "STORAGE_DENIED" });
    const wrongKey = { s3: { ...options.s3, accessKeyId: "nobody" } };
    await expect(openStorage(`s3://${bucket}/x`, wrongKey)).rejects.toMatchObject({ code: "STORAGE_DENIED" });
  });

  test("half a pair of credentials is OPTION_INVALID", async () => {
    const half = { s3: { endpoint, accessKeyId } };
    await expect(openStorage(`s3://${bucket}/x`, half)).rejects.toMatchObject({ code: "OPTION_INVALID" });
  });

  test("credentials and endpoint come from the standard environment", async () => {
    const saved = { ...process.env };
    Object.assign(process.env, {
      AWS_ACCESS_KEY_ID: accessKeyId,
      AWS_SECRET_ACCESS_KEY: secretAccessKey,
      AWS_ENDPOINT_URL_S3: endpoint,
      AWS_REGION: region,
    });
    try {
      const storage = await openStorage(`s3://${bucket}/${prefix}/env`);
      await storage.put("x", Buffer.from("x"));
      expect((await storage.get("x")).content.toString()).toBe("x");
      await storage.close();
    } finally {
      process.env = saved;
    }
  });

  test("an endpoint that nobody answers is STORAGE_UNREACHABLE within the deadline", async () => {
    const startMs = performance.now();
    const nobody = { deadlineMs: 800, s3: { ...options.s3, endpoint: "http://127.0.0.1:9" } };
    await expect(openStorage(`s3://${bucket}/x`, nobody)).rejects.toMatchObject({ code: "STORAGE_UNREACHABLE" });
    expect(performance.now() - startMs).toBeLessThan(3_000);
  });

  test("an endpoint that accepts and stays silent is STORAGE_UNREACHABLE within the deadline", async () => {
    const silent = createServer(() => undefined).listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const address = silent.address();
    const port = typeof address === "object" && address !== null ? address.port : 0;
    const startMs = performance.now();
    const mute = { deadlineMs: 700, s3: { ...options.s3, endpoint: `http://127.0.0.1:${port}` } };
    await expect(openStorage(`s3://${bucket}/x`, mute)).rejects.toMatchObject({ code: "STORAGE_UNREACHABLE" });
    expect(performance.now() - startMs).toBeLessThan(3_000);
    silent.close();
  });
});
