// Streams an object to S3: one PUT when it is small, else parts, a few at a time.
import { assert } from "../../base/errors.ts";
import type { ObjectWriter } from "../../core/ports/snapshot-storage.ts";

/** The requests that an upload is made of. */
export interface UploadRequests {
  putWhole(body: Uint8Array): Promise<void>;
  /** Returns the upload's id. */
  begin(): Promise<string>;
  /** Returns the part's ETag. */
  putPart(uploadId: string, partNumber: number, body: Uint8Array): Promise<string>;
  complete(uploadId: string, parts: readonly { readonly PartNumber: number; readonly ETag: string }[]): Promise<void>;
  drop(uploadId: string): Promise<void>;
}

const maxParts = 10_000;
const partsInFlight = 3;

/** Memory: at most `partsInFlight + 1` parts. After 1,000 parts they are eight times as big, so that 10,000 hold half a terabyte and more. */
export class S3Upload implements ObjectWriter {
  readonly #requests: UploadRequests;
  readonly #partBytes: number;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #uploadId: Promise<string> | undefined;
  readonly #parts: { readonly PartNumber: number; readonly ETag: string }[] = [];
  readonly #flying = new Set<Promise<void>>();
  #partCount = 0;
  #failure: { readonly error: unknown } | undefined;
  #done = false;

  constructor(requests: UploadRequests, partBytes: number) {
    this.#requests = requests;
    this.#partBytes = partBytes;
  }

  async write(chunk: Uint8Array): Promise<void> {
    assert(!this.#done, "an upload takes nothing after its end");
    this.#throwFailure();
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    const wanted = this.#partCount < 1_000 ? this.#partBytes : this.#partBytes * 8;
    if (this.#pendingBytes >= wanted) await this.#sendPart();
  }

  async finish(): Promise<void> {
    assert(!this.#done, "an upload ends once");
    this.#throwFailure();
    if (this.#uploadId === undefined) {
      await this.#requests.putWhole(this.#takePending());
    } else {
      if (this.#pendingBytes > 0) await this.#sendPart();
      await Promise.all(this.#flying);
      this.#throwFailure();
      this.#parts.sort((a, b) => a.PartNumber - b.PartNumber);
      await this.#requests.complete(await this.#uploadId, this.#parts);
    }
    this.#done = true;
  }

  async abort(): Promise<void> {
    if (this.#done) return;
    this.#done = true;
    this.#pending = [];
    await Promise.all(this.#flying);
    const uploadId = await this.#uploadId?.catch(() => undefined);
    // A failed drop leaves parts behind, which cleanUnfinished removes later.
    if (uploadId !== undefined) await this.#requests.drop(uploadId).catch(() => undefined);
  }

  async #sendPart(): Promise<void> {
    while (this.#flying.size >= partsInFlight) await Promise.race(this.#flying);
    this.#throwFailure();
    assert(this.#partCount < maxParts, `an object has at most ${maxParts} parts`);
    const partNumber = ++this.#partCount;
    const body = this.#takePending();
    this.#uploadId ??= this.#requests.begin();
    const uploadId = this.#uploadId;
    const sending = (async () => {
      const ETag = await this.#requests.putPart(await uploadId, partNumber, body);
      this.#parts.push({ PartNumber: partNumber, ETag });
    })()
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => this.#flying.delete(sending));
    this.#flying.add(sending);
  }

  #takePending(): Uint8Array {
    const only = this.#pending.length === 1 ? this.#pending[0] : undefined;
    const body = only ?? Buffer.concat(this.#pending, this.#pendingBytes);
    this.#pending = [];
    this.#pendingBytes = 0;
    return body;
  }

  #throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
