// Files as a sink: whole files become visible when the checkpoint after them is complete.
import { MillraceError } from "../../../base/errors.ts";
import type { ChangelogMode, Sink, SinkContext, SinkWriter } from "../../../core/ports/sink.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import { CsvEncoder } from "../csv/csv-encoder.ts";
import { parquetEncoders } from "../parquet/parquet-encoder.ts";
import { publishBatch } from "./batch-manifest.ts";
import { FilesWriter, readState } from "./files-writer.ts";
import { LineEncoder } from "./line-encoder.ts";
import { LocalOutput } from "./local-output.ts";
import type { OutputStore, PendingFile } from "./output-store.ts";
import { subtaskOf } from "./part-name.ts";
import { partitionPath } from "./partition-path.ts";
import type { RowEncoder } from "./row-encoder.ts";
import { S3Output } from "./s3-output.ts";
import { type FilesSinkConfig, filesSinkConfig, type FilesSinkOptions, printedSinkOptions } from "./sink-options.ts";

async function encodersOf(config: FilesSinkConfig, schema: Schema): Promise<() => RowEncoder> {
  const { format } = config;
  if (format === "parquet") return parquetEncoders(schema, config.compression);
  if (format === "csv") return () => new CsvEncoder(schema, config.csv);
  const encoder = await format.openEncoder(schema);
  return () => new LineEncoder(encoder);
}

function outputOf({ location, s3 }: FilesSinkConfig): OutputStore {
  return location.kind === "s3" ? new S3Output(location.bucket, location.base, s3) : new LocalOutput(location.base);
}

/** Finishes the commit of the restored checkpoint and removes what earlier runs of this instance left behind. */
async function recover(config: FilesSinkConfig, context: SinkContext, store: OutputStore): Promise<void> {
  const { restored, subtask, parallelism } = context;
  const files = (restored?.states ?? []).flatMap(readState);
  if (restored !== undefined && !restored.committed && subtask === 0) {
    await commitAll(config, files, store);
    if (config.manifest) await publishBatch(store, config.location, { ...context, checkpointId: restored.checkpointId }, files);
  }
  // Each instance clears up after itself, so that nobody removes what another one has just begun; instance 0 also after
  // those that are no more. What the restored checkpoint lists is left alone: instance 0 may be committing it.
  const isLeft = (name: string): boolean => {
    const owner = subtaskOf(name, context);
    return owner !== undefined && (owner === subtask || (subtask === 0 && owner >= parallelism));
  };
  await store.removeLeftovers(isLeft, files);
}

/** The files may be elsewhere than the sink writes now: the option `path` may have changed since. */
async function commitAll(config: FilesSinkConfig, files: readonly PendingFile[], store: OutputStore): Promise<void> {
  const here = files.filter((file) => (file.kind === "s3") === (config.location.kind === "s3"));
  await store.commit(here);
  if (here.length === files.length) return;
  const other = config.location.kind === "s3" ? new LocalOutput("") : new S3Output("", "", config.s3);
  try {
    await other.commit(files);
  } finally {
    await other.close();
  }
}

/**
 * Writes files: `filesSink({ path: "out/", format: json(), partition: "day={at:yyyy-MM-dd}" })`.
 * Throws OPTION_UNKNOWN and OPTION_INVALID; when it runs it fails with FILES_WRITE_FAILED, FILES_DENIED, FILES_PATH_MISSING (a bucket),
 * FILES_COMMIT_LOST or SINK_STATE_CORRUPT.
 */
export function filesSink(options: FilesSinkOptions): Sink {
  return filesSinkOver(options, outputOf);
}

/** The same, over an output that `open` makes. */
export function filesSinkOver(options: FilesSinkOptions, open: (config: FilesSinkConfig) => OutputStore): Sink {
  const config = filesSinkConfig(options);
  const { format } = config;
  const accepts: ChangelogMode = typeof format === "object" && format.changelog === "retract" ? "retract" : "append";
  return {
    connector: "files",
    options: printedSinkOptions(config),
    accepts,
    delivery: config.delivery,
    async openWriter(context: SinkContext, schema: Schema): Promise<SinkWriter> {
      if (config.manifest && context.parallelism > 1) {
        throw new MillraceError(
          "OPTION_INVALID",
          'files sink option "manifest"',
          `cannot be used by ${context.parallelism} instances: each would know its own files only`,
          "give the sink the parallelism 1",
        );
      }
      const partitionOf = partitionPath(config.partition, schema);
      const newEncoder = await encodersOf(config, schema);
      const store = open(config);
      try {
        await recover(config, context, store);
      } catch (error) {
        await store.close();
        throw error;
      }
      return new FilesWriter(config, context, store, partitionOf, newEncoder);
    },
  };
}
