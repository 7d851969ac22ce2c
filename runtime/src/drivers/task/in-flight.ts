// Rows that an unaligned checkpoint found on their way to an instance: how they are stored, and who takes them after a restore.
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { MillraceError } from "../../base/errors.ts";
import { Batch } from "../../core/batch/batch.ts";
import { KeyReader, keyGroupOf } from "../../core/keys/key-batch.ts";
import type { OperatorStateEntry } from "../../core/ports/operator-state.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { DataflowInput } from "../../plan/dataflow.ts";
import { ownerOfKeyGroup } from "../../plan/key-groups.ts";
import { FrameReader } from "../exchange/frame/frame-reader.ts";
import type { Receiver } from "./edge.ts";
import type { CapturedList } from "./operator-state-registry.ts";

/** The list of an operator's or a sink's state that holds them; no operator has one of this name. */
export const inFlightName = "exchange/in-flight";

export interface InFlightRows {
  readonly input: number;
  /** Whom they were on their way to. */
  readonly subtask: number;
  readonly parallelism: number;
  readonly schema: Schema;
  /** The columns that the frame has. */
  readonly fields: readonly number[];
  /** A copy of the frame: the original is processed meanwhile. */
  readonly frame: ArrayBuffer;
}

// One entry is one frame: what it is of, then its bytes. docs/reference/exchange.md.
function encode(rows: InFlightRows): Uint8Array {
  const writer = new ByteWriter(rows.frame.byteLength + 128);
  writer.varint(rows.input);
  writer.varint(rows.subtask);
  writer.varint(rows.parallelism);
  writer.string(rows.schema.fingerprint);
  writer.varint(rows.fields.length);
  for (const field of rows.fields) writer.varint(field);
  writer.bytes(new Uint8Array(rows.frame));
  return writer.copy();
}

/** All instances see all entries at a restore, and each takes its own: keys may be owned by another instance by then. */
export function inFlightList(rows: readonly InFlightRows[]): CapturedList {
  const entries = rows.map((one, index) => ({ key: `${one.subtask}.${index}`, value: encode(one) }));
  return { name: inFlightName, redistribution: "union", entries };
}

interface Stored {
  readonly input: number;
  readonly subtask: number;
  readonly parallelism: number;
  readonly fingerprint: string;
  readonly fields: readonly number[];
  readonly frame: ArrayBuffer;
}

function decode({ value }: OperatorStateEntry): Stored {
  const reader = new ByteReader(value);
  const input = reader.varint();
  const subtask = reader.varint();
  const parallelism = reader.varint();
  const fingerprint = reader.string();
  const fields = Array.from({ length: reader.varint() }, () => reader.varint());
  // Frames are read in place and need a buffer that begins with them.
  return { input, subtask, parallelism, fingerprint, fields, frame: Uint8Array.from(reader.bytes()).buffer };
}

export interface ReplayAbout {
  readonly uid: string;
  readonly subtask: number;
  readonly parallelism: number;
  readonly maxParallelism: number;
  readonly inputs: readonly DataflowInput[];
  readonly receiver: Receiver;
}

/** The rows of restored entries that are this instance's, as steps that give them to it, in their order. Throws IN_FLIGHT_SCHEMA. */
export function replaySteps(entries: readonly OperatorStateEntry[], about: ReplayAbout): readonly (() => void)[] {
  const steps: (() => void)[] = [];
  for (const entry of entries) {
    const stored = decode(entry);
    const input = about.inputs[stored.input];
    const schema = input === undefined ? undefined : schemaOf(input);
    if (input === undefined || schema?.fingerprint !== stored.fingerprint) {
      throw new MillraceError(
        "IN_FLIGHT_SCHEMA",
        `operator "${about.uid}"`,
        "the snapshot holds rows on their way to it that have another schema than its input has now",
        "start the earlier version of the job from it and stop that with a savepoint under less load, then change the schema",
      );
    }
    const taker = takerOf(stored, input, about);
    if (taker !== undefined) steps.push(() => taker(stored, schema));
  }
  return steps;
}

export function schemaOf(input: DataflowInput): Schema {
  return input.from.sideSchemas.get(input.output) ?? input.from.schema;
}

type Taker = (stored: Stored, schema: Schema) => void;

function takerOf(stored: Stored, input: DataflowInput, about: ReplayAbout): Taker | undefined {
  const { receiver, subtask, parallelism, maxParallelism } = about;
  const giveAll: Taker = (one, schema) =>
    new FrameReader(schema, one.fields).read(one.frame, { rows: (batch) => receiver.receive(batch, one.input), mark() {} });
  if (input.exchange === "hash" && input.key !== undefined) {
    const keys = new KeyReader(input.key);
    return (one, schema) => {
      new FrameReader(schema, one.fields).read(one.frame, {
        rows(batch) {
          const { hashes } = keys.read(batch);
          const selection = new Int32Array(batch.count);
          let count = 0;
          for (let k = 0; k < batch.count; k++) {
            const owner = ownerOfKeyGroup(keyGroupOf(hashes[k] as number, maxParallelism), parallelism, maxParallelism);
            if (owner === subtask) selection[count++] = batch.selection[k] as number;
          }
          if (count > 0) receiver.receive(new Batch(batch.rows, selection, count), one.input);
        },
        // Time is told anew after a restore: rows come before it.
        mark() {},
      });
    };
  }
  // State that came by broadcast is restored from the first instance's copy, so what that one had not seen is what is missing.
  if (input.exchange === "broadcast") return stored.subtask === 0 ? giveAll : undefined;
  // The rows of one earlier instance stay together, so their order is kept.
  return Math.floor((stored.subtask * parallelism) / stored.parallelism) === subtask ? giveAll : undefined;
}
