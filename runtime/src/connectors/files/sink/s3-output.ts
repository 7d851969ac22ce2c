// Output in S3: a file is a multipart upload, which nobody sees until it is completed.
import { posix } from "node:path";
import type { ListMultipartUploadsCommand, ListMultipartUploadsCommandOutput } from "@aws-sdk/client-s3";
import { MillraceError } from "../../../base/errors.ts";
import { keyBelow } from "../store/location.ts";
import { connectS3, type FilesS3Options, type S3Connection, s3Error, statusOf } from "../store/s3-client.ts";
import type { OpenFile, OutputStore, PendingFile } from "./output-store.ts";

/** Parts but the last are at least so large; S3 asks for 5 MiB. An upload has at most 10,000 of them: 80 GiB. */
const partBytes = 8 << 20;

type PendingUpload = Extract<PendingFile, { readonly kind: "s3" }>;

export class S3Output implements OutputStore {
  readonly #bucket: string;
  readonly #base: string;
  readonly #options: FilesS3Options;
  #connection: Promise<S3Connection> | undefined;

  constructor(bucket: string, base: string, options: FilesS3Options) {
    this.#bucket = bucket;
    this.#base = base;
    this.#options = options;
  }

  #connect(): Promise<S3Connection> {
    this.#connection ??= connectS3(this.#options);
    return this.#connection;
  }

  async create(name: string): Promise<OpenFile> {
    const connection = await this.#connect();
    const key = keyBelow(this.#base, name);
    const request = new connection.sdk.CreateMultipartUploadCommand({ Bucket: this.#bucket, Key: key });
    const { UploadId: uploadId = "" } = await connection.client.send(request).catch((error: unknown) => {
      throw s3Error(`s3://${this.#bucket}/${key}`, error, "write");
    });
    return new Upload(connection, this.#bucket, key, uploadId);
  }

  async commit(files: readonly PendingFile[]): Promise<void> {
    for (const file of files) if (file.kind === "s3") await this.#complete(file);
  }

  async #complete({ bucket, key, uploadId, etags }: PendingUpload): Promise<void> {
    const { sdk, client } = await this.#connect();
    const parts = etags.map((etag, index) => ({ ETag: etag, PartNumber: index + 1 }));
    const request = { Bucket: bucket, Key: key, UploadId: uploadId, MultipartUpload: { Parts: parts } };
    try {
      await client.send(new sdk.CompleteMultipartUploadCommand(request));
    } catch (error) {
      // The upload is gone: it was completed before, or somebody removed it.
      const name = error instanceof Error ? error.name : "";
      if (name !== "NoSuchUpload" && statusOf(error) !== 404) throw s3Error(`s3://${bucket}/${key}`, error, "write");
      await this.#assertCompleted(bucket, key, error);
    }
  }

  async #assertCompleted(bucket: string, key: string, cause: unknown): Promise<void> {
    const { sdk, client } = await this.#connect();
    try {
      await client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: key }));
    } catch (error) {
      if (statusOf(error) !== 404) throw s3Error(`s3://${bucket}/${key}`, error, "write");
      const problem = "neither it nor its multipart upload is there: output of a checkpoint is lost";
      const next = "see that no lifecycle rule aborts uploads early; start from an older snapshot and remove the newer output";
      throw new MillraceError("FILES_COMMIT_LOST", `s3://${bucket}/${key}`, problem, next, { cause });
    }
  }

  async publish(name: string, content: Uint8Array): Promise<void> {
    const { sdk, client } = await this.#connect();
    const key = keyBelow(this.#base, name);
    const request = new sdk.PutObjectCommand({ Bucket: this.#bucket, Key: key, Body: content });
    await client.send(request).catch((error: unknown) => {
      throw s3Error(`s3://${this.#bucket}/${key}`, error, "write");
    });
  }

  async removeLeftovers(isLeft: (partName: string) => boolean, kept: readonly PendingFile[]): Promise<void> {
    const { sdk, client } = await this.#connect();
    const keep = new Set(kept.map((file) => (file.kind === "s3" ? file.uploadId : "")));
    const prefix = this.#base === "" ? "" : `${this.#base}/`;
    let marker: UploadMarker | undefined = {};
    while (marker !== undefined) {
      const request: ListMultipartUploadsCommand = new sdk.ListMultipartUploadsCommand({ Bucket: this.#bucket, Prefix: prefix, ...marker });
      const page: ListMultipartUploadsCommandOutput = await client.send(request).catch((error: unknown) => {
        throw s3Error(`s3://${this.#bucket}/${prefix}`, error, "write");
      });
      for (const { Key: key = "", UploadId: uploadId = "" } of page.Uploads ?? []) {
        if (!key.startsWith(prefix) || !isLeft(posix.basename(key)) || keep.has(uploadId)) continue;
        await this.#abort(key, uploadId);
      }
      marker = page.IsTruncated === true ? nextMarker(page) : undefined;
    }
  }

  async #abort(key: string, uploadId: string): Promise<void> {
    const { sdk, client } = await this.#connect();
    await client
      .send(new sdk.AbortMultipartUploadCommand({ Bucket: this.#bucket, Key: key, UploadId: uploadId }))
      .catch((error: unknown) => {
        if (statusOf(error) !== 404) throw s3Error(`s3://${this.#bucket}/${key}`, error, "write");
      });
  }

  async close(): Promise<void> {
    const connection = await this.#connection;
    connection?.client.destroy();
  }
}

interface UploadMarker {
  readonly KeyMarker?: string;
  readonly UploadIdMarker?: string;
}

function nextMarker({ NextKeyMarker: key, NextUploadIdMarker: upload }: ListMultipartUploadsCommandOutput): UploadMarker {
  return { ...(key === undefined ? {} : { KeyMarker: key }), ...(upload === undefined ? {} : { UploadIdMarker: upload }) };
}

class Upload implements OpenFile {
  readonly #connection: S3Connection;
  readonly #bucket: string;
  readonly #key: string;
  readonly #uploadId: string;
  readonly #etags: string[] = [];
  #chunks: Uint8Array[] = [];
  #chunkBytes = 0;

  constructor(connection: S3Connection, bucket: string, key: string, uploadId: string) {
    this.#connection = connection;
    this.#bucket = bucket;
    this.#key = key;
    this.#uploadId = uploadId;
  }

  get heldBytes(): number {
    return this.#chunkBytes;
  }

  async append(bytes: Uint8Array): Promise<void> {
    this.#chunks.push(bytes);
    this.#chunkBytes += bytes.length;
    if (this.#chunkBytes >= partBytes) await this.#upload();
  }

  async #upload(): Promise<void> {
    const { sdk, client } = this.#connection;
    const body = Buffer.concat(this.#chunks);
    this.#chunks = [];
    this.#chunkBytes = 0;
    const part = { Bucket: this.#bucket, Key: this.#key, UploadId: this.#uploadId, PartNumber: this.#etags.length + 1, Body: body };
    const answer = await client.send(new sdk.UploadPartCommand(part)).catch((error: unknown) => {
      throw s3Error(`s3://${this.#bucket}/${this.#key}`, error, "write");
    });
    this.#etags.push(answer.ETag ?? "");
  }

  async finish(): Promise<PendingFile> {
    if (this.#chunkBytes > 0 || this.#etags.length === 0) await this.#upload();
    return { kind: "s3", bucket: this.#bucket, key: this.#key, uploadId: this.#uploadId, etags: this.#etags };
  }

  async abort(): Promise<void> {
    const { sdk, client } = this.#connection;
    const upload = { Bucket: this.#bucket, Key: this.#key, UploadId: this.#uploadId };
    // What cannot be removed now is a leftover for the next run.
    await client.send(new sdk.AbortMultipartUploadCommand(upload)).catch(() => {});
  }
}
