// The execution record in the job's folder: what one leader leaves to the next. Replaced conditionally, and never by an older leader.
import { isMillraceError, MillraceError } from "../../../base/errors.ts";
import {
  count,
  flag,
  listOf,
  object,
  objectWith,
  oneOf,
  parseShape,
  recordOf,
  type Shape,
  text,
} from "../../../checkpoint/format/shape.ts";
import type { ObjectVersion, SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import type { ExecutionRecord } from "../coordinator/types.ts";

interface Stored {
  readonly epoch: number;
  readonly record: ExecutionRecord;
}

const storedShape: Shape<Stored> = object({
  epoch: count,
  record: objectWith(
    {
      format: oneOf("millrace-execution"),
      formatVersion: oneOf(1),
      revision: text,
      parallelism: object({ job: count, vertices: recordOf(count) }),
      attempts: recordOf(count),
      savepoints: listOf(object({ id: text, mode: oneOf("keep", "stop", "drain") })),
      stopAsked: flag,
      restarts: count,
    },
    { outcome: oneOf("ended", "stopped", "drained", "failed"), reason: text },
  ),
});

const maxAttempts = 5;

export class ExecutionStore {
  readonly #storage: SnapshotStorage;
  readonly #path: string;
  readonly #epoch: number;
  #version: ObjectVersion | undefined;

  private constructor(storage: SnapshotStorage, path: string, epoch: number) {
    this.#storage = storage;
    this.#path = path;
    this.#epoch = epoch;
  }

  /** Reads what the leader before left. Rejects with EXECUTION_RECORD when it cannot be understood. */
  static async open(
    storage: SnapshotStorage,
    jobId: string,
    epoch: number,
  ): Promise<{ readonly store: ExecutionStore; readonly record: ExecutionRecord | undefined }> {
    const store = new ExecutionStore(storage, `${jobId}/execution.json`, epoch);
    return { store, record: (await store.#read())?.record };
  }

  /** Rejects with FENCED when a later leader has written it. */
  async write(record: ExecutionRecord): Promise<void> {
    const content = Buffer.from(`${JSON.stringify({ epoch: this.#epoch, record } satisfies Stored)}\n`);
    for (let attempt = 1; ; attempt++) {
      try {
        this.#version =
          this.#version === undefined
            ? await this.#storage.create(this.#path, content)
            : await this.#storage.replace(this.#path, content, this.#version);
        return;
      } catch (error) {
        // A write that came through without its answer, or somebody else's: the epoch in it tells.
        if (!isMillraceError(error, "OBJECT_CONFLICT") || attempt === maxAttempts) throw error;
        await this.#read();
      }
    }
  }

  async #read(): Promise<Stored | undefined> {
    let found: Awaited<ReturnType<SnapshotStorage["get"]>>;
    try {
      found = await this.#storage.get(this.#path);
    } catch (error) {
      if (!isMillraceError(error, "OBJECT_MISSING")) throw error;
      this.#version = undefined;
      return undefined;
    }
    const stored = this.#parse(found.content);
    if (stored.epoch > this.#epoch) {
      throw new MillraceError(
        "FENCED",
        `${this.#storage.url}/${this.#path}`,
        `a leader with epoch ${stored.epoch} has taken over from epoch ${this.#epoch}`,
        "stop this process: another one leads the job",
      );
    }
    this.#version = found.version;
    return stored;
  }

  #parse(content: Buffer): Stored {
    const file = `${this.#storage.url}/${this.#path}`;
    return parseShape(
      storedShape,
      content,
      file,
      (problem) =>
        new MillraceError(
          "EXECUTION_RECORD",
          file,
          `is not what this version of millrace writes: ${problem}`,
          "run the version that wrote it, or delete it: the job then starts from its newest checkpoint with the manifest's parallelism",
        ),
    );
  }
}
