// One file that is being written: rows are encoded at once, their bytes compressed and stored in the background, in order.
import type { Rows } from "../../../core/batch/batch.ts";
import type { Compression } from "../store/compression.ts";
import { type Compressor, openCompressor } from "./compressor.ts";
import type { OpenFile, PendingFile } from "./output-store.ts";
import type { RowEncoder } from "./row-encoder.ts";

/** Encoded bytes are handed on in pieces of about so many. */
const pieceBytes = 1 << 20;

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
  readonly #compressor: Compressor;
  readonly #backlog: Backlog;
  readonly #file: Promise<OpenFile>;
  #tail: Promise<void>;
  #handedOnBytes = 0;
  #opened: OpenFile | undefined;

  constructor(file: Promise<OpenFile>, encoder: RowEncoder, compression: Compression, backlog: Backlog, openedMs: number) {
    this.#file = file;
    this.#encoder = encoder;
    this.#compressor = openCompressor(compression);
    this.#backlog = backlog;
    this.openedMs = openedMs;
    this.#tail = file.then(
      (opened) => {
        this.#opened = opened;
      },
      (error: unknown) => backlog.fail(error),
    );
  }

  /** Bytes of the rows so far, before compression. */
  get sizeBytes(): number {
    return this.#handedOnBytes + this.#encoder.heldBytes;
  }

  /** Bytes in memory, about: rows that are not encoded yet, and what the place it goes to has not taken. */
  get heldBytes(): number {
    return this.#encoder.heldBytes + (this.#opened?.heldBytes ?? 0);
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
        await this.#append(await this.#compressor.write(bytes));
      } catch (error) {
        this.#backlog.fail(error);
      } finally {
        this.#backlog.remove(bytes.length);
      }
    });
  }

  async #append(packed: Uint8Array): Promise<void> {
    if (packed.length > 0) await (await this.#file).append(packed);
  }

  /** Ends the file: no rows after this. Settles when it is safe; failures before it were told to the backlog. One that fails is removed. */
  async finish(): Promise<PendingFile> {
    try {
      this.#handOn(this.#encoder.finish());
      await this.#tail;
      await this.#append(await this.#compressor.finish());
      this.#compressor.close();
      return await (await this.#file).finish();
    } catch (error) {
      await this.abort();
      throw error;
    }
  }

  /** Removes the file. */
  async abort(): Promise<void> {
    await this.#tail;
    this.#compressor.close();
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
