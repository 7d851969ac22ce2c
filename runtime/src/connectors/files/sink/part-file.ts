// One file that is being written: rows are encoded at once, their bytes compressed and stored in the background, in order.
import { promisify } from "node:util";
import { gzip, zstdCompress } from "node:zlib";
import type { Rows } from "../../../core/batch/batch.ts";
import type { Compression } from "../store/compression.ts";
import type { OpenFile, PendingFile } from "./output-store.ts";
import type { RowEncoder } from "./row-encoder.ts";

/** Encoded bytes are handed on in pieces of about so many. */
const pieceBytes = 1 << 20;

/** Pieces are compressed one by one: both formats allow that a file is several of their streams in a row. */
const compress: Readonly<Record<Compression, (bytes: Uint8Array) => Promise<Uint8Array>>> = {
  none: (bytes) => Promise.resolve(bytes),
  gzip: promisify(gzip) as (bytes: Uint8Array) => Promise<Uint8Array>,
  zstd: promisify(zstdCompress) as (bytes: Uint8Array) => Promise<Uint8Array>,
};

/** Bytes that are handed on and not stored yet, of all files of a writer. */
export interface Backlog {
  add(bytes: number): void;
  remove(bytes: number): void;
  fail(error: unknown): void;
}

export class PartFile {
  readonly openedMs: number;
  rowCount = 0;
  readonly #encoder: RowEncoder;
  readonly #compression: Compression;
  readonly #backlog: Backlog;
  readonly #file: Promise<OpenFile>;
  #tail: Promise<void>;
  #handedOnBytes = 0;

  constructor(file: Promise<OpenFile>, encoder: RowEncoder, compression: Compression, backlog: Backlog, openedMs: number) {
    this.#file = file;
    this.#encoder = encoder;
    this.#compression = compression;
    this.#backlog = backlog;
    this.openedMs = openedMs;
    this.#tail = file.then(
      () => {},
      (error: unknown) => backlog.fail(error),
    );
  }

  /** Bytes of the rows so far, before compression. */
  get sizeBytes(): number {
    return this.#handedOnBytes + this.#encoder.heldBytes;
  }

  add(rows: Rows, row: number): void {
    this.#encoder.add(rows, row);
    this.rowCount++;
    if (this.#encoder.readyBytes >= pieceBytes) this.#handOn(this.#encoder.take());
  }

  #handOn(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#handedOnBytes += bytes.length;
    this.#backlog.add(bytes.length);
    this.#tail = this.#tail.then(async () => {
      try {
        const packed = await compress[this.#compression](bytes);
        await (await this.#file).append(packed);
      } catch (error) {
        this.#backlog.fail(error);
      } finally {
        this.#backlog.remove(bytes.length);
      }
    });
  }

  /** Ends the file: no rows after this. Settles when it is safe; failures before it were told to the backlog. */
  async finish(): Promise<PendingFile> {
    this.#handOn(this.#encoder.finish());
    await this.#tail;
    return (await this.#file).finish();
  }

  /** Removes the file. */
  async abort(): Promise<void> {
    await this.#tail;
    await this.#file.then(
      (file) => file.abort(),
      () => {},
    );
  }

  /** Waits until what was handed on is stored. */
  settled(): Promise<void> {
    return this.#tail;
  }
}
