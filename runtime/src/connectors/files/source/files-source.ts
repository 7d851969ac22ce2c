// Files as a source: a split is a file.
import { MillraceError } from "../../../base/errors.ts";
import type { Format } from "../../../core/ports/format.ts";
import type { Source, SplitEnumerator } from "../../../core/ports/source.ts";
import type { Schema } from "../../../core/schema/schema.ts";
import { compressionOf } from "../store/compression.ts";
import { openStore } from "../store/open-store.ts";
import { pathMissing } from "../store/store-errors.ts";
import { CommittedBatches } from "./committed-batches.ts";
import { type FilesConfig, filesConfig, type FilesLinesOptions, type FilesRowsOptions, printedOptions } from "./files-options.ts";
import { FilesReader } from "./files-reader.ts";

async function openEnumerator(config: FilesConfig): Promise<SplitEnumerator> {
  const { location, bounded, order, compression, format, follow } = config;
  const store = openStore(location, config.s3);
  const batches = config.manifest ? new CommittedBatches(location, config.s3) : undefined;
  return {
    intervalMs: bounded ? Number.POSITIVE_INFINITY : config.discoverIntervalMs,
    async discover(known) {
      // Manifests first: what they list is there by then.
      const committed = await batches?.paths();
      const found = (await store.list()).filter(({ path }) => committed === undefined || committed.has(path));
      if (bounded && found.length === 0) throw pathMissing(location.text);
      found.sort((a, b) => (order === "modified" ? a.modifiedMs - b.modifiedMs : 0) || (a.path < b.path ? -1 : 1));
      const fresh = found.filter((file) => !known.has(file.path));
      for (const { path } of fresh) {
        // Said for the first file, before anything is read.
        const packed = format !== "parquet" && compression === "auto" ? compressionOf(path) : compression;
        if (follow && packed !== "none" && packed !== "auto") {
          throw new MillraceError(
            "FILES_COMPRESSION_UNSUPPORTED",
            path,
            "compressed files cannot be followed",
            "leave out the option follow, or that file",
          );
        }
      }
      return fresh.map((file) => ({ id: file.path, position: { at: 0 } }));
    },
    async close() {
      await batches?.close();
      await store.close();
    },
  };
}

function filesSource(config: FilesConfig): Source {
  return {
    connector: "files",
    options: printedOptions(config),
    bounded: config.bounded,
    ...(config.inTimeOrder ? { inTimeOrder: true } : {}),
    ...(config.follow ? {} : { splitsInTurn: true }),
    ...(config.schema === undefined ? {} : { schema: config.schema }),
    openEnumerator: () => openEnumerator(config),
    openReader: async (context) => new FilesReader(config, openStore(config.location, config.s3), context),
  };
}

/** Files of lines, as a dataflow takes them. */
export interface FilesLinesEndpoint<Row> {
  readonly source: Source;
  readonly format: Format<Row>;
}

/** Files of rows, as a dataflow takes them. */
export interface FilesRowsEndpoint<Row> {
  readonly source: Source & { readonly schema: Schema<Row> };
}

/**
 * Reads files: `files({ path: "logs/", format: json(line) })`, `files({ path: "s3://bucket/*.parquet", format: "parquet", schema })`.
 * Bounded, or watching for new files. Throws OPTION_UNKNOWN, OPTION_INVALID and FILES_SCHEMA_MISSING; when it runs it fails with
 * FILES_PATH_MISSING, FILES_DENIED, FILES_CORRUPT, FILES_CHANGED, FILES_SCHEMA_MISFIT, FILES_COMPRESSION_UNSUPPORTED or FILES_READ_FAILED.
 */
export function files<Row>(options: FilesLinesOptions<Row>): FilesLinesEndpoint<Row>;
export function files<Row>(options: FilesRowsOptions<Row>): FilesRowsEndpoint<Row>;
export function files<Row>(options: FilesLinesOptions<Row> | FilesRowsOptions<Row>): FilesLinesEndpoint<Row> | FilesRowsEndpoint<Row> {
  const source = filesSource(filesConfig(options as FilesLinesOptions<unknown> | FilesRowsOptions<unknown>));
  const { format } = options;
  if (format === "csv" || format === "parquet") return { source: { ...source, schema: (options as FilesRowsOptions<Row>).schema } };
  return { source, format };
}
