// What S3 storage makes of a network that loses answers and of a server that is busy: with a client of the test's own.
import * as sdk from "@aws-sdk/client-s3";
import { afterEach, describe, expect, test, vi } from "vitest";
import { systemClock } from "../../base/clock.ts";
import { S3Storage } from "./s3-storage.ts";

type Outcome = "ok" | "lost before" | "lost after" | "busy" | "denied";

/** Holds one bucket and does to the requests, one after another, what `outcomes` say; then all go well. */
class TestServer {
  readonly objects = new Map<string, { readonly body: Buffer; readonly etag: string }>();
  readonly outcomes: Outcome[] = [];
  requests = 0;
  #etags = 0;

  storage(deadlineMs: number): S3Storage {
    const client = new sdk.S3Client({ region: "us-east-1", credentials: { accessKeyId: "a", secretAccessKey: "b" } });
    Object.defineProperty(client, "send", { value: (command: unknown) => this.#answer(command) });
    return new S3Storage(
      "s3://bucket/prefix",
      { sdk, client },
      { bucket: "bucket", prefix: "prefix", deadlineMs, partBytes: 5 * 1024 * 1024, clock: systemClock },
    );
  }

  async #answer(command: unknown): Promise<unknown> {
    this.requests++;
    const outcome = this.outcomes.shift() ?? "ok";
    if (outcome === "lost before") throw Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
    if (outcome === "busy") throw serviceError("SlowDown", 503);
    if (outcome === "denied") throw serviceError("AccessDenied", 403);
    const result = this.#act(command);
    if (outcome === "lost after") throw Object.assign(new Error("read ECONNRESET"), { code: "ECONNRESET" });
    return result;
  }

  #act(command: unknown): unknown {
    if (command instanceof sdk.PutObjectCommand) {
      const { Key = "", Body, IfMatch, IfNoneMatch } = command.input;
      const there = this.objects.get(Key);
      if (IfNoneMatch === "*" && there !== undefined) throw serviceError("PreconditionFailed", 412);
      if (IfMatch !== undefined && there === undefined) throw serviceError("NoSuchKey", 404);
      if (IfMatch !== undefined && there?.etag !== IfMatch) throw serviceError("PreconditionFailed", 412);
      const etag = String(++this.#etags);
      this.objects.set(Key, { body: Buffer.from(Body as Uint8Array), etag });
      return { ETag: etag };
    }
    if (command instanceof sdk.GetObjectCommand) {
      const there = this.objects.get(command.input.Key ?? "");
      if (there === undefined) throw serviceError("NoSuchKey", 404);
      return { ETag: there.etag, Body: { transformToByteArray: () => Promise.resolve(there.body) } };
    }
    throw new Error("this server knows no such request");
  }
}

function serviceError(name: string, httpStatusCode: number): Error {
  return new sdk.S3ServiceException({ name, $fault: "client", $metadata: { httpStatusCode }, message: name });
}

describe("S3 storage on a bad day", () => {
  test("a create whose answer was lost is known to have happened", async () => {
    const server = new TestServer();
    const storage = server.storage(5_000);
    server.outcomes.push("lost after");
    const version = await storage.create("latest", Buffer.from("mine"));
    expect((await storage.get("latest")).version).toBe(version);
    server.outcomes.push("lost after");
    const next = await storage.replace("latest", Buffer.from("mine too"), version);
    expect(await storage.get("latest")).toEqual({ content: Buffer.from("mine too"), version: next });
  });

  test("a create that never arrived, and that somebody else was faster with, is a conflict", async () => {
    const server = new TestServer();
    const storage = server.storage(5_000);
    server.objects.set("prefix/latest", { body: Buffer.from("theirs"), etag: "x" });
    server.outcomes.push("lost before");
    await expect(storage.create("latest", Buffer.from("mine"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
    server.outcomes.push("lost before");
    await expect(storage.replace("latest", Buffer.from("mine"), "y")).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
  });

  test("the same content by somebody else is a conflict when no answer was lost", async () => {
    const server = new TestServer();
    const storage = server.storage(5_000);
    await storage.create("latest", Buffer.from("same"));
    await expect(storage.create("latest", Buffer.from("same"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
  });

  test("a busy server is asked again, until the deadline", async () => {
    const server = new TestServer();
    server.outcomes.push("busy", "lost before", "busy");
    await server.storage(5_000).put("x", Buffer.from("1"));
    expect(server.requests).toBe(4);
    server.outcomes.push(...Array.from({ length: 1000 }, () => "busy" as const));
    const startMs = performance.now();
    await expect(server.storage(200).put("x", Buffer.from("2"))).rejects.toMatchObject({ code: "STORAGE_UNREACHABLE" });
    expect(performance.now() - startMs).toBeLessThan(2_000);
  });

  test("a refusal is not asked again", async () => {
    const server = new TestServer();
    server.outcomes.push("denied");
    await expect(server.storage(5_000).put("x", Buffer.from("1"))).rejects.toMatchObject({ code: "STORAGE_DENIED" });
    expect(server.requests).toBe(1);
  });
});

describe("without the S3 client", () => {
  afterEach(() => {
    vi.doUnmock("@aws-sdk/client-s3");
    vi.resetModules();
  });

  test("s3:// says which package to install", async () => {
    vi.resetModules();
    vi.doMock("@aws-sdk/client-s3", () => {
      throw new Error("Cannot find package");
    });
    const { openStorage } = await import("./open-storage.ts");
    const error: unknown = await openStorage("s3://bucket/x").catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: "DEPENDENCY_MISSING" });
    expect(String(error)).toContain("npm install @aws-sdk/client-s3");
  });
});
