// Whole batches, wherever the files are: the writer dies before or after any of its writes, and a reader looks after each that shows something.
import { expect } from "vitest";
import { isMillraceError } from "../../../base/errors.ts";
import type { SinkWriter } from "../../../core/ports/sink.ts";
import { int53, string } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import { files, type FilesS3Options } from "../index.ts";
import { allOf, readWhole } from "../source/files-fixture.suite.ts";
import { filesSinkOver } from "./files-sink.ts";
import type { OpenFile, OutputStore } from "./output-store.ts";
import { batchOf, sinkContext } from "./sink-fixture.suite.ts";

export const batchRow = schema({ batch: int53(), id: int53(), kind: string() });

export interface BatchesWorld {
  readonly path: string;
  readonly s3?: FilesS3Options;
  open(): OutputStore;
  /** Called when the writer dies: what is there now is what a later run finds. */
  died(): void;
  /** Called when everything of the writer that died is closed. */
  restart(): Promise<void>;
  dispose(): Promise<void>;
}

const rowsPerBatch = 4;

/** Rows of two kinds: each batch has a file of each. */
const rowsOf = (batch: number): { batch: number; id: number; kind: string }[] =>
  Array.from({ length: rowsPerBatch }, (_, i) => ({ batch, id: batch * rowsPerBatch + i, kind: i % 2 === 0 ? "even" : "odd" }));

/** What a reader by manifests sees: row ids by batch. */
export async function seenBatches({ path, s3 }: Pick<BatchesWorld, "path" | "s3">): Promise<ReadonlyMap<number, readonly number[]>> {
  const given = s3 === undefined ? {} : { s3 };
  const result = await readWhole(files({ path, format: "parquet", schema: batchRow, manifest: true, ...given }).source).catch(
    (error: unknown) => {
      if (isMillraceError(error, "FILES_PATH_MISSING")) return undefined;
      throw error;
    },
  );
  const batches = new Map<number, number[]>();
  for (const { batch, id } of (result === undefined ? [] : allOf(result)) as { batch: number; id: number }[])
    batches.set(
      batch,
      [...(batches.get(batch) ?? []), id].sort((a, b) => a - b),
    );
  return batches;
}

class Died extends Error {}

/** Counts every write, looks after those that make something visible, and dies at one of them. */
function mortal(world: BatchesWorld, crashAt: number, when: "before" | "after", look: () => Promise<void>, counted: { calls: number }) {
  let dead = false;
  const step = async <T>(write: () => Promise<T>, shows: boolean): Promise<T> => {
    if (dead) throw new Died();
    counted.calls++;
    const dies = counted.calls === crashAt;
    const die = (): never => {
      dead = true;
      world.died();
      throw new Died();
    };
    if (dies && when === "before") die();
    const result = await write();
    if (shows) await look();
    return dies ? die() : result;
  };
  return (): OutputStore => {
    const inner = world.open();
    return {
      create: async (name) => {
        const opened: OpenFile[] = [];
        await step(async () => void opened.push(await inner.create(name)), false).catch(async (error: unknown) => {
          // Only this process's handle goes: what is there was kept when it died.
          if (world.s3 === undefined) await opened[0]?.abort();
          throw error;
        });
        const file = opened[0] as OpenFile;
        return {
          append: (bytes) => step(() => file.append(bytes), false),
          finish: () => step(() => file.finish(), false),
          // A process that was killed tidies nothing up.
          abort: async () => (dead && world.s3 !== undefined ? undefined : file.abort()),
        };
      },
      publish: (name, content) => step(() => inner.publish(name, content), true),
      // One file at a time, so that it may die between two.
      commit: async (pending) => {
        for (const file of pending) await step(() => inner.commit([file]), true);
      },
      removeLeftovers: (isLeft, kept) => inner.removeLeftovers(isLeft, kept),
      close: () => inner.close(),
    };
  };
}

interface Checkpoint {
  readonly checkpointId: number;
  committed: boolean;
  readonly states: readonly Uint8Array[];
}

/** Writes the batches after the checkpoint as a query does: write, prepare, the checkpoint is stored, commit. */
async function run(
  world: BatchesWorld,
  batchCount: number,
  open: () => OutputStore,
  last: { checkpoint: Checkpoint | undefined },
): Promise<void> {
  const options = {
    path: world.path,
    format: "parquet",
    partition: "kind={kind}",
    manifest: true,
    ...(world.s3 && { s3: world.s3 }),
  } as const;
  let writer: SinkWriter | undefined;
  try {
    const restored = last.checkpoint === undefined ? {} : { restored: last.checkpoint };
    writer = await filesSinkOver(options, open).openWriter(sinkContext(restored), batchRow);
    if (last.checkpoint !== undefined) last.checkpoint.committed = true;
    for (let batch = last.checkpoint?.checkpointId ?? 0; batch < batchCount; batch++) {
      writer.write(batchOf(batchRow, rowsOf(batch)));
      const state = await writer.prepare(batch + 1);
      last.checkpoint = { checkpointId: batch + 1, committed: false, states: [state] };
      await writer.commit(batch + 1);
      last.checkpoint.committed = true;
    }
  } finally {
    await writer?.close();
  }
}

/** `makeWorld` makes an empty place for each run. Returns how many writes a run without a crash makes. */
export async function expectWholeBatches(makeWorld: () => Promise<BatchesWorld>, batchCount: number): Promise<number> {
  let writes = Infinity;
  for (let crashAt = 0; crashAt <= writes; crashAt++) {
    for (const when of crashAt === 0 ? (["after"] as const) : (["before", "after"] as const)) {
      const world = await makeWorld();
      try {
        const about = `crash ${when} write ${crashAt} of ${writes}`;
        const look = async (): Promise<void> => {
          for (const [batch, ids] of await seenBatches(world)) expect(ids, about).toEqual(rowsOf(batch).map(({ id }) => id));
        };
        const counted = { calls: 0 };
        const last: { checkpoint: Checkpoint | undefined } = { checkpoint: undefined };
        const ended = await run(world, batchCount, mortal(world, crashAt, when, look, counted), last).then(
          () => "finished",
          (error: unknown) => (error instanceof Died ? "died" : Promise.reject(error)),
        );
        expect(ended, about).toBe(crashAt === 0 ? "finished" : "died");
        if (crashAt === 0) writes = counted.calls;
        else {
          await world.restart();
          await look();
          await run(world, batchCount, mortal(world, Infinity, "after", look, { calls: 0 }), last);
        }
        const seen = await seenBatches(world);
        expect([...seen.keys()].sort(), about).toEqual(Array.from({ length: batchCount }, (_, batch) => batch));
        await look();
      } finally {
        await world.dispose();
      }
    }
  }
  return writes;
}
