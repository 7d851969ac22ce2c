// Rows that an unaligned checkpoint found on their way to an instance: how they are stored, and who takes them after a restore.
import { ByteReader, ByteWriter } from "../../base/bytes.ts";
import { MillraceError } from "../../base/errors.ts";
import { Batch } from "../../core/batch/batch.ts";
import { KeyReader, keyGroupOf } from "../../core/keys/key-batch.ts";
import type { OperatorStateEntry } from "../../core/ports/operator-state.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { DataflowInput } from "../../plan/dataflow.ts";
import { ownerOfKeyGroup } from "../../plan/key-groups.ts";
import { FrameBuilder } from "../exchange/frame/frame-builder.ts";
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
  /** The columns that an input's rows must have. */
  readonly fields: (input: number) => readonly number[];
  readonly receiver: Receiver;
}

/** Some rows that go to an instance again. */
export interface ReplayStep {
  give(): void;
  /** The same rows as a checkpoint takes them that finds them still on their way: those of this instance alone. */
  rows(): InFlightRows;
}

/** The rows of restored entries that are this instance's, in their order. Throws IN_FLIGHT_SCHEMA. */
export function replaySteps(entries: readonly OperatorStateEntry[], about: ReplayAbout): readonly ReplayStep[] {
  const steps: ReplayStep[] = [];
  for (const entry of entries) {
    const stored = decode(entry);
    const input = about.inputs[stored.input];
    const schema = input === undefined ? undefined : schemaOf(input);
    if (input === undefined || schema?.fingerprint !== stored.fingerprint) {
      throw misfit(about.uid, "that have another schema than its input has now");
    }
    const missing = about.fields(stored.input).filter((field) => !stored.fields.includes(field));
    if (missing.length > 0) {
      const names = missing.map((field) => schema.fields[field]?.name ?? "").join(", ");
      throw misfit(about.uid, `without ${names}, which it did not read then and reads now`);
    }
    const forEach = pickerOf(stored, input, about);
    if (forEach === undefined) continue;
    steps.push({
      give: () => forEach(schema, (batch) => about.receiver.receive(batch, stored.input)),
      rows: () => {
        const builder = new FrameBuilder(schema, stored.fields, wholeFrame);
        forEach(schema, (batch) => void builder.take(batch, 0));
        const { input: number, fields } = stored;
        const { subtask, parallelism } = about;
        return { input: number, subtask, parallelism, schema, fields, frame: builder.build(0) };
      },
    });
  }
  return steps;
}

function misfit(uid: string, which: string): MillraceError {
  return new MillraceError(
    "IN_FLIGHT_SCHEMA",
    `operator "${uid}"`,
    `the snapshot holds rows on their way to it ${which}`,
    "start the earlier version of the job from it and stop that with a savepoint under less load, then change the job",
  );
}

/** What was one frame stays one. */
const wholeFrame = { frameBytes: Infinity, frameRows: Infinity };

export function schemaOf(input: DataflowInput): Schema {
  return input.from.sideSchemas.get(input.output) ?? input.from.schema;
}

/** Calls back with the rows that are the instance's, batch by batch. */
type Picker = (schema: Schema, take: (batch: Batch) => void) => void;

function pickerOf(stored: Stored, input: DataflowInput, about: ReplayAbout): Picker | undefined {
  const { subtask, parallelism, maxParallelism } = about;
  const { fields, frame } = stored;
  const all: Picker = (schema, take) => new FrameReader(schema, fields).read(frame, { rows: take, mark() {} });
  if (input.exchange === "hash" && input.key !== undefined) {
    const keys = new KeyReader(input.key);
    return (schema, take) => {
      new FrameReader(schema, fields).read(frame, {
        rows(batch) {
          const { hashes } = keys.read(batch);
          const selection = new Int32Array(batch.count);
          let count = 0;
          for (let k = 0; k < batch.count; k++) {
            const owner = ownerOfKeyGroup(keyGroupOf(hashes[k] as number, maxParallelism), parallelism, maxParallelism);
            if (owner === subtask) selection[count++] = batch.selection[k] as number;
          }
          if (count > 0) take(new Batch(batch.rows, selection, count));
        },
        // Time is told anew after a restore: rows come before it.
        mark() {},
      });
    };
  }
  // State that came by broadcast is restored from the first instance's copy, so what that one had not seen is what is missing.
  if (input.exchange === "broadcast") return stored.subtask === 0 ? all : undefined;
  // The rows of one earlier instance stay together, so their order is kept.
  return Math.floor((stored.subtask * parallelism) / stored.parallelism) === subtask ? all : undefined;
}
