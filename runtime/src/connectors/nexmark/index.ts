// Nexmark: the events of an online auction house, generated. The usual load and the usual queries for stream engines.
import { MillraceError } from "../../base/errors.ts";
import type { Format } from "../../core/ports/format.ts";
import type { Source, SourceBatch } from "../../core/ports/source.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { type NexmarkOptions, nexmarkConfig } from "./config.ts";
import type { EventDraw } from "./event.ts";
import { JsonBlocks } from "./event-json.ts";
import { AuctionRows, BidRows, type EventRows, PersonRows, UnionRows } from "./event-rows.ts";
import {
  type NexmarkAuction,
  type NexmarkBid,
  type NexmarkEvent,
  type NexmarkPerson,
  nexmarkAuctionSchema,
  nexmarkBidSchema,
  nexmarkEventSchema,
  nexmarkPersonSchema,
} from "./schemas.ts";
import { type EventBlocks, nexmarkSource } from "./source.ts";

export type { NexmarkOptions } from "./config.ts";
export * from "./schemas.ts";

/** A source of rows, as a dataflow takes it. */
export interface NexmarkEndpoint<Row> {
  readonly source: Source & { readonly schema: Schema<Row> };
}

export type NexmarkTable = "person" | "auction" | "bid";

type RowsOf = new (schema: Schema, draw: EventDraw, capacity: number) => EventRows;
const initialRows = 4096;

function rowSource<Row>(options: NexmarkOptions, form: string, schema: Schema<Row>, Writer: RowsOf, only?: number): NexmarkEndpoint<Row> {
  const config = nexmarkConfig(options);
  const makeBlocks = (draw: EventDraw): EventBlocks => {
    const writer = new Writer(schema, draw, initialRows);
    return {
      schema,
      ...(only === undefined ? {} : { only }),
      begin: (count) => writer.begin(count),
      put: (event, row) => writer.put(event, row),
      finish(splitId, count, firstPosition): SourceBatch {
        writer.rows.size = count;
        return { kind: "rows", splitId, rows: writer.rows, firstPosition };
      },
    };
  };
  return { source: { ...nexmarkSource(config, form, schema, makeBlocks), schema } };
}

/**
 * Nexmark events as rows: all three types in one flat stream, or with `table` the rows of one type. Endless without `events`.
 * The rows' time is `dateTime`. Equal options give equal events, in any number of splits, on every run.
 * Throws OPTION_UNKNOWN and OPTION_INVALID.
 */
export function nexmark(options: NexmarkOptions & { readonly table: "person" }): NexmarkEndpoint<NexmarkPerson>;
export function nexmark(options: NexmarkOptions & { readonly table: "auction" }): NexmarkEndpoint<NexmarkAuction>;
export function nexmark(options: NexmarkOptions & { readonly table: "bid" }): NexmarkEndpoint<NexmarkBid>;
export function nexmark(options?: NexmarkOptions): NexmarkEndpoint<NexmarkEvent>;
export function nexmark(
  options: NexmarkOptions & { readonly table?: NexmarkTable } = {},
): NexmarkEndpoint<NexmarkPerson> | NexmarkEndpoint<NexmarkAuction> | NexmarkEndpoint<NexmarkBid> | NexmarkEndpoint<NexmarkEvent> {
  const { table, ...rest } = options;
  switch (table) {
    case undefined:
      return rowSource(rest, "events", nexmarkEventSchema, UnionRows);
    case "person":
      return rowSource(rest, table, nexmarkPersonSchema, PersonRows, 0);
    case "auction":
      return rowSource(rest, table, nexmarkAuctionSchema, AuctionRows, 1);
    case "bid":
      return rowSource(rest, table, nexmarkBidSchema, BidRows, 2);
    default:
      throw new MillraceError(
        "OPTION_INVALID",
        'nexmark option "table"',
        `"${String(table)}" is not a table`,
        "use person, auction or bid, or leave it out",
      );
  }
}

/**
 * Nexmark events as JSON records for `format` to decode, as they travel through a topic:
 * `nexmarkJson(json(nexmarkJsonSchema), { events: 1000 })`.
 */
export function nexmarkJson<Row>(
  format: Format<Row>,
  options: NexmarkOptions = {},
): { readonly source: Source; readonly format: Format<Row> } {
  return { source: nexmarkSource(nexmarkConfig(options), "json", undefined, () => new JsonBlocks()), format };
}
