// What connectors give to the DSL: a source with the type of its rows, and a sink.
import type { Format } from "../core/ports/format.ts";
import type { Sink } from "../core/ports/sink.ts";
import type { Source } from "../core/ports/source.ts";
import type { Schema } from "../core/schema/schema.ts";

/** A source whose records a format decodes. */
export interface FormattedSource<Row> {
  readonly source: Source;
  readonly format: Format<Row>;
}

/** A source that makes rows of its own schema. */
export interface RowSource<Row> {
  readonly source: Source & { readonly schema: Schema<Row> };
  readonly format?: undefined;
}

export type SourceEndpoint<Row> = FormattedSource<Row> | RowSource<Row>;

/** Where rows go. */
export type SinkEndpoint = Sink;

export function endpointSchema<Row>(endpoint: SourceEndpoint<Row>): Schema<Row> {
  return endpoint.format === undefined ? endpoint.source.schema : endpoint.format.schema;
}
