// Rows of one schema as frames, by part: what a task keeps for others, and what is read of it.
import type { Batch } from "../../../core/batch/batch.ts";
import type { KeyLayout } from "../../../core/keys/key-layout.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import { FrameBuilder } from "../../exchange/frame/frame-builder.ts";
import { FrameReader } from "../../exchange/frame/frame-reader.ts";
import { HashEdge, type Receiver } from "../../task/edge.ts";

const limits = { frameBytes: 1024 * 1024, frameRows: 16_384 };

const allFields = (schema: Schema): readonly number[] => schema.fields.map(({ index }) => index);

class Part {
  readonly frames: ArrayBuffer[] = [];
  readonly #builder: FrameBuilder;

  constructor(schema: Schema) {
    this.#builder = new FrameBuilder(schema, allFields(schema), limits);
  }

  take(batch: Batch): void {
    for (let from = 0; from < batch.count; ) {
      from = this.#builder.take(batch, from);
      if (this.#builder.isFull) this.#seal();
    }
  }

  #seal(): void {
    if (!this.#builder.isEmpty) this.frames.push(this.#builder.build(0));
  }

  end(): ArrayBuffer[] {
    this.#seal();
    return this.frames.splice(0);
  }
}

/** Gathers rows of one schema into parts by their key; without a key there is one part. */
export class RowFrames {
  readonly #parts: readonly Part[];
  readonly #edge: HashEdge | undefined;
  rows = 0;

  constructor(schema: Schema, key: KeyLayout | undefined, partitions: number, maxParallelism: number) {
    this.#parts = Array.from({ length: key === undefined ? 1 : partitions }, () => new Part(schema));
    const none = (): void => {};
    const receivers = this.#parts.map(
      (part): Receiver => ({
        receive: (batch) => part.take(batch),
        ...{ receiveWatermark: none, receiveIdle: none, receiveActive: none, receiveBarrier: none },
      }),
    );
    this.#edge = key === undefined || partitions === 1 ? undefined : new HashEdge(receivers, 0, 0, key, maxParallelism);
  }

  take(batch: Batch): void {
    this.rows += batch.count;
    if (this.#edge === undefined) (this.#parts[0] as Part).take(batch);
    else this.#edge.emit(batch);
  }

  /** The frames of each part; this is empty afterwards. */
  end(): readonly (readonly ArrayBuffer[])[] {
    this.rows = 0;
    return this.#parts.map((part) => part.end());
  }
}

/** Hands the rows of frames on, valid during each call. Throws EXCHANGE_FRAME_CORRUPT. */
export async function readFrames(
  schema: Schema,
  frames: readonly ArrayBuffer[],
  take: (batch: Batch) => Promise<void> | void,
): Promise<void> {
  const reader = new FrameReader(schema, allFields(schema));
  for (const frame of frames) {
    let owed: Promise<void> | undefined;
    reader.read(frame, {
      rows: (batch) => {
        const taken = take(batch);
        if (taken !== undefined) owed = taken;
      },
      mark() {},
    });
    await owed;
  }
}
