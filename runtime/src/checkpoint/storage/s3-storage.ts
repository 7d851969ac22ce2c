// Snapshot storage in a bucket of any server that speaks S3: conditional writes by If-Match and If-None-Match.
import type { Clock } from "../../base/clock.ts";
import { isMillraceError } from "../../base/errors.ts";
import type { ObjectVersion, ObjectWriter, SnapshotStorage, StoredObject } from "../../core/ports/snapshot-storage.ts";
import { checkObjectPath } from "./object-path.ts";
import { withRetries } from "./retry.ts";
import type { S3Connection } from "./s3-client.ts";
import { isConditionFailed, isPassing, isRangeOutside, mayHaveHappened, s3Error } from "./s3-errors.ts";
import { S3Upload } from "./s3-upload.ts";
import { objectConflict } from "./storage-errors.ts";

const deletesInFlight = 16;

export interface S3StorageOptions {
  readonly bucket: string;
  /** Without slashes at its ends; may be empty. */
  readonly prefix: string;
  /** How long one operation is tried, ms. */
  readonly deadlineMs: number;
  /** Objects above this are sent in parts of this size; S3's least is 5 MiB. */
  readonly partBytes: number;
  readonly clock: Clock;
}

export class S3Storage implements SnapshotStorage {
  readonly url: string;
  readonly #connection: S3Connection;
  readonly #options: S3StorageOptions;
  readonly #prefix: string;

  constructor(url: string, connection: S3Connection, options: S3StorageOptions) {
    this.url = url;
    this.#connection = connection;
    this.#options = options;
    this.#prefix = options.prefix === "" ? "" : `${options.prefix}/`;
  }

  async put(path: string, content: Uint8Array | readonly Uint8Array[]): Promise<void> {
    const writer = this.openWriter(path);
    try {
      for (const chunk of content instanceof Uint8Array ? [content] : content) await writer.write(chunk);
      await writer.finish();
    } catch (error) {
      await writer.abort();
      throw error;
    }
  }

  openWriter(path: string): ObjectWriter {
    const target = this.#target(path);
    const { sdk, client } = this.#connection;
    return new S3Upload(
      {
        putWhole: async (body) => {
          await this.#send(path, (abortSignal) => client.send(new sdk.PutObjectCommand({ ...target, Body: body }), { abortSignal }));
        },
        begin: async () => {
          const begun = await this.#send(path, (abortSignal) => client.send(new sdk.CreateMultipartUploadCommand(target), { abortSignal }));
          return begun.UploadId ?? "";
        },
        putPart: async (UploadId, PartNumber, body) => {
          const part = { ...target, UploadId, PartNumber, Body: body };
          return (await this.#send(path, (abortSignal) => client.send(new sdk.UploadPartCommand(part), { abortSignal }))).ETag ?? "";
        },
        complete: async (UploadId, parts) => {
          const input = { ...target, UploadId, MultipartUpload: { Parts: [...parts] } };
          await this.#send(path, (abortSignal) => client.send(new sdk.CompleteMultipartUploadCommand(input), { abortSignal }));
        },
        drop: async (UploadId) => {
          await client.send(new sdk.AbortMultipartUploadCommand({ ...target, UploadId }));
        },
      },
      this.#options.partBytes,
    );
  }

  create(path: string, content: Uint8Array): Promise<ObjectVersion> {
    return this.#putIf(path, content, { IfNoneMatch: "*" });
  }

  replace(path: string, content: Uint8Array, version: ObjectVersion): Promise<ObjectVersion> {
    return this.#putIf(path, content, { IfMatch: version });
  }

  async #putIf(
    path: string,
    content: Uint8Array,
    condition: { readonly IfNoneMatch: string } | { readonly IfMatch: string },
  ): Promise<ObjectVersion> {
    const { sdk, client } = this.#connection;
    let inDoubt = false;
    try {
      return await this.#send(path, async (abortSignal) => {
        try {
          const done = await client.send(new sdk.PutObjectCommand({ ...this.#target(path), Body: content, ...condition }), { abortSignal });
          return done.ETag ?? "";
        } catch (error) {
          inDoubt ||= mayHaveHappened(error);
          throw error;
        }
      });
    } catch (error) {
      if (!isConditionFailed(error) && !("IfMatch" in condition && isMillraceError(error, "OBJECT_MISSING"))) throw error;
      // An earlier try may have been carried out though its answer was lost: then what is there now is ours.
      if (inDoubt) {
        const now = await this.get(path).catch(() => undefined);
        if (now?.content.equals(content)) return now.version;
      }
      throw objectConflict(this.url, path, error);
    }
  }

  async get(path: string): Promise<{ readonly content: Buffer; readonly version: ObjectVersion }> {
    const { sdk, client } = this.#connection;
    return this.#send(path, async (abortSignal) => {
      const found = await client.send(new sdk.GetObjectCommand(this.#target(path)), { abortSignal });
      return { content: await readBody(found.Body), version: found.ETag ?? "" };
    });
  }

  async getRange(path: string, start: number, end: number): Promise<Buffer> {
    const { sdk, client } = this.#connection;
    if (end <= start) return Buffer.alloc(0);
    const Range = `bytes=${start}-${end - 1}`;
    return this.#send(path, async (abortSignal) => {
      try {
        const found = await client.send(new sdk.GetObjectCommand({ ...this.#target(path), Range }), { abortSignal });
        return await readBody(found.Body);
      } catch (error) {
        if (isRangeOutside(error)) return Buffer.alloc(0);
        throw error;
      }
    });
  }

  async *list(prefix: string): AsyncIterable<StoredObject> {
    const { sdk, client } = this.#connection;
    let ContinuationToken: string | undefined;
    do {
      const input = {
        Bucket: this.#options.bucket,
        Prefix: `${this.#prefix}${prefix}`,
        ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
      };
      const page = await this.#send(prefix, (abortSignal) => client.send(new sdk.ListObjectsV2Command(input), { abortSignal }));
      for (const { Key = "", Size = 0, LastModified } of page.Contents ?? []) {
        // Some servers list folders as objects.
        if (Key.endsWith("/")) continue;
        yield { path: Key.slice(this.#prefix.length), sizeBytes: Size, modifiedMs: LastModified?.getTime() ?? 0 };
      }
      ContinuationToken = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (ContinuationToken !== undefined);
  }

  async delete(paths: readonly string[]): Promise<void> {
    const { sdk, client } = this.#connection;
    // One request each: the bulk request needs checksums that servers do not agree on.
    for (let from = 0; from < paths.length; from += deletesInFlight) {
      await Promise.all(
        paths.slice(from, from + deletesInFlight).map(async (path) => {
          try {
            await this.#send(path, (abortSignal) => client.send(new sdk.DeleteObjectCommand(this.#target(path)), { abortSignal }));
          } catch (error) {
            if (!isMillraceError(error, "OBJECT_MISSING")) throw error;
          }
        }),
      );
    }
  }

  async cleanUnfinished(olderThanMs: number): Promise<number> {
    const { sdk, client } = this.#connection;
    const { bucket: Bucket, clock } = this.#options;
    const input = { Bucket, ...(this.#prefix === "" ? {} : { Prefix: this.#prefix }) };
    const found = await this.#send("", (abortSignal) => client.send(new sdk.ListMultipartUploadsCommand(input), { abortSignal }));
    let removed = 0;
    for (const { Key, UploadId, Initiated } of found.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined || clock.now() - (Initiated?.getTime() ?? 0) < olderThanMs) continue;
      await this.#send(Key, (abortSignal) => client.send(new sdk.AbortMultipartUploadCommand({ Bucket, Key, UploadId }), { abortSignal }));
      removed++;
    }
    return removed;
  }

  async close(): Promise<void> {
    this.#connection.client.destroy();
  }

  #target(path: string): { readonly Bucket: string; readonly Key: string } {
    checkObjectPath(path);
    return { Bucket: this.#options.bucket, Key: `${this.#prefix}${path}` };
  }

  async #send<T>(path: string, request: (signal: AbortSignal) => Promise<T>): Promise<T> {
    try {
      return await withRetries({ url: this.url, deadlineMs: this.#options.deadlineMs, isPassing }, (_number, signal) => request(signal));
    } catch (error) {
      // Failed conditions and ranges are for the caller to interpret.
      throw isConditionFailed(error) ? error : s3Error(error, this.url, path);
    }
  }
}

async function readBody(body: { transformToByteArray(): Promise<Uint8Array> } | undefined): Promise<Buffer> {
  const bytes = (await body?.transformToByteArray()) ?? new Uint8Array(0);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

/** Makes the storage after seeing that the bucket answers and lets itself be listed. */
export async function openS3Storage(url: string, connection: S3Connection, options: S3StorageOptions): Promise<S3Storage> {
  const { sdk, client } = connection;
  const input = { Bucket: options.bucket, MaxKeys: 1, ...(options.prefix === "" ? {} : { Prefix: `${options.prefix}/` }) };
  try {
    await withRetries({ url, deadlineMs: Math.min(options.deadlineMs, 10_000), isPassing }, (_number, abortSignal) =>
      client.send(new sdk.ListObjectsV2Command(input), { abortSignal }),
    );
  } catch (error) {
    client.destroy();
    throw s3Error(error, url, "");
  }
  return new S3Storage(url, connection, options);
}
