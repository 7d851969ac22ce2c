// Files in an S3 bucket, to read. Every read is one ranged request, so a lost connection costs a retry and nothing else.
import type { ByteStream, FileStore, FoundFile, RandomFile } from "./file-store.ts";
import { isHidden, type Location } from "./location.ts";
import { connectS3, type FilesS3Options, type S3Connection, s3Error, statusOf } from "./s3-client.ts";
import { pathMissing } from "./store-errors.ts";

export class S3Store implements FileStore {
  readonly #location: Location;
  readonly #options: FilesS3Options;
  #connection: Promise<S3Connection> | undefined;

  constructor(location: Location, options: FilesS3Options) {
    this.#location = location;
    this.#options = options;
  }

  #connect(): Promise<S3Connection> {
    this.#connection ??= connectS3(this.#options);
    return this.#connection;
  }

  async list(): Promise<readonly FoundFile[]> {
    const { bucket, base, matches, text } = this.#location;
    const { sdk, client } = await this.#connect();
    const found: FoundFile[] = [];
    // Without a wildcard the base is an object or a directory of them: `logs` is not the beginning of `logs-old`.
    const directory = base === "" ? "" : `${base}/`;
    let more: string | undefined;
    do {
      const request = new sdk.ListObjectsV2Command({
        Bucket: bucket,
        Prefix: base,
        ...(more === undefined ? {} : { ContinuationToken: more }),
      });
      const page = await client.send(request).catch((error: unknown) => {
        throw s3Error(text, error, "read");
      });
      for (const { Key: key = "", LastModified: modified } of page.Contents ?? []) {
        const single = key === base && matches === undefined;
        const name = key.startsWith(directory) ? key.slice(directory.length) : undefined;
        if (!single && (name === undefined || name === "" || name.endsWith("/") || isHidden(name))) continue;
        if (!single && matches !== undefined && !matches(name as string)) continue;
        found.push({ path: `s3://${bucket}/${key}`, modifiedMs: modified?.getTime() ?? 0 });
      }
      more = page.IsTruncated === true ? page.NextContinuationToken : undefined;
    } while (more !== undefined);
    return found;
  }

  #keyOf(path: string): string {
    return path.slice(`s3://${this.#location.bucket}/`.length);
  }

  async #get(
    path: string,
    start: number,
    end: number,
    etag: string | undefined,
  ): Promise<{ readonly bytes: Uint8Array; readonly etag: string | undefined }> {
    const { sdk, client } = await this.#connect();
    const range = `bytes=${start}-${end - 1}`;
    const condition = etag === undefined ? {} : { IfMatch: etag };
    try {
      const answer = await client.send(
        new sdk.GetObjectCommand({ Bucket: this.#location.bucket, Key: this.#keyOf(path), Range: range, ...condition }),
      );
      return { bytes: (await answer.Body?.transformToByteArray()) ?? new Uint8Array(), etag: answer.ETag };
    } catch (error) {
      // The range begins at the end of the object.
      if (statusOf(error) === 416) return { bytes: new Uint8Array(), etag };
      throw s3Error(path, error, "read");
    }
  }

  async #head(path: string): Promise<{ readonly sizeBytes: number; readonly etag: string | undefined }> {
    const { sdk, client } = await this.#connect();
    const answer = await client
      .send(new sdk.HeadObjectCommand({ Bucket: this.#location.bucket, Key: this.#keyOf(path) }))
      .catch((error: unknown) => {
        throw s3Error(path, error, "read");
      });
    if (answer.ContentLength === undefined) throw pathMissing(path);
    return { sizeBytes: answer.ContentLength, etag: answer.ETag };
  }

  async openStream(path: string, fromByte: number): Promise<ByteStream> {
    let next = fromByte;
    // All reads are of the version that the first one saw.
    let etag: string | undefined;
    return {
      read: async (target, at, length) => {
        const part = await this.#get(path, next, next + length, etag);
        etag ??= part.etag;
        target.set(part.bytes, at);
        next += part.bytes.length;
        return part.bytes.length;
      },
      async close() {},
    };
  }

  async openRandom(path: string): Promise<RandomFile> {
    const { sizeBytes, etag } = await this.#head(path);
    return {
      sizeBytes,
      slice: async (start, end) => {
        const { bytes } = await this.#get(path, start, end, etag);
        return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer;
      },
      async close() {},
    };
  }

  async close(): Promise<void> {
    const connection = await this.#connection;
    connection?.client.destroy();
  }
}
