// Events as rows: writes drawn events straight into columns, as ranges of prepared bytes where they are text.
import { Rows } from "../../core/batch/batch.ts";
import { type Column, isNull, present } from "../../core/batch/column.ts";
import type { Schema } from "../../core/schema/schema.ts";
import type { EventDraw } from "./event.ts";
import type { TextTable } from "./texts.ts";

/** Bytes that one row may need for its e-mail address, and for its card number. */
const emailBytes = 16;
const cardBytes = 19;

/** Writes the values of an event into row `row`. */
export interface EventRows {
  readonly rows: Rows;
  /** Makes room for `count` rows and forgets the earlier ones. */
  begin(count: number): void;
  put(draw: EventDraw, row: number): void;
}

/** The columns of a schema's text fields, and scratch columns for fields that the schema does not have. */
class EventColumns {
  readonly rows: Rows;
  readonly #texts: Column[];
  readonly #own: { readonly column: Column; readonly bytes: number }[] = [];

  constructor(schema: Schema, capacity: number) {
    this.rows = new Rows(schema, capacity);
    this.rows.ready.fill(1);
    this.#texts = this.rows.columns.filter((column) => column.kind === "text");
  }

  column(name: string): Column {
    return this.rows.columns[this.rows.schema.field(name).index] as Column;
  }

  /** A text column whose texts are ranges of `bytes`. */
  text(name: string, bytes: Buffer): Column {
    const column = this.column(name);
    column.bytes = bytes;
    return column;
  }

  /** A text column with bytes of its own, `bytes` for each row. */
  ownText(name: string, bytes: number): Column {
    const column = this.column(name);
    column.bytes = Buffer.allocUnsafeSlow(this.rows.capacity * bytes);
    this.#own.push({ column, bytes });
    return column;
  }

  begin(count: number): void {
    const rows = this.rows;
    rows.ensure(count);
    rows.size = count;
    rows.kinds = null;
    for (const { column, bytes } of this.#own) {
      if (column.bytes.length < rows.capacity * bytes) column.bytes = Buffer.allocUnsafeSlow(rows.capacity * bytes);
    }
    // Strings that users of the last block asked for are not those of this one.
    for (const column of this.#texts) {
      if (column.texts.length === 0 && !column.textsCached) continue;
      column.texts = [];
      column.textsCached = false;
    }
  }
}

function putRange(column: Column, row: number, start: number, end: number): void {
  column.starts[row] = start;
  column.ends[row] = end;
}

function putEntry(column: Column, row: number, table: TextTable, entry: number): void {
  column.starts[row] = table.starts[entry] as number;
  column.ends[row] = table.ends[entry] as number;
}

function putOwn(column: Column, row: number, bytes: Buffer, length: number, width: number): void {
  const start = row * width;
  const target = column.bytes;
  for (let i = 0; i < length; i++) target[start + i] = bytes[i] as number;
  column.starts[row] = start;
  column.ends[row] = start + length;
}

export class PersonRows implements EventRows {
  readonly rows: Rows;
  readonly #columns: EventColumns;
  readonly #id: Column;
  readonly #name: Column;
  readonly #email: Column;
  readonly #card: Column;
  readonly #city: Column;
  readonly #state: Column;
  readonly #time: Column;
  readonly #extra: Column;

  constructor(schema: Schema, draw: EventDraw, capacity: number, columns: EventColumns = new EventColumns(schema, capacity)) {
    const { names, cities, states, padding } = draw.texts;
    this.#columns = columns;
    this.rows = columns.rows;
    this.#id = columns.column("id");
    this.#name = columns.text("name", names.bytes);
    this.#email = columns.ownText("emailAddress", emailBytes);
    this.#card = columns.ownText("creditCard", cardBytes);
    this.#city = columns.text("city", cities.bytes);
    this.#state = columns.text("state", states.bytes);
    this.#time = columns.column("dateTime");
    this.#extra = columns.text("extra", padding);
  }

  begin(count: number): void {
    this.#columns.begin(count);
  }

  put(draw: EventDraw, row: number): void {
    const { names, cities, states } = draw.texts;
    this.#id.numbers[row] = draw.id;
    putEntry(this.#name, row, names, draw.name);
    putOwn(this.#email, row, draw.email, draw.emailLength, emailBytes);
    putOwn(this.#card, row, draw.card, cardBytes, cardBytes);
    putEntry(this.#city, row, cities, draw.city);
    putEntry(this.#state, row, states, draw.state);
    this.#time.numbers[row] = draw.timeMs;
    this.rows.times[row] = draw.timeMs;
    putRange(this.#extra, row, draw.extraStart, draw.extraEnd);
  }
}

export class AuctionRows implements EventRows {
  readonly rows: Rows;
  readonly #columns: EventColumns;
  readonly #id: Column;
  readonly #item: Column;
  readonly #description: Column;
  readonly #initialBid: Column;
  readonly #reserve: Column;
  readonly #time: Column;
  readonly #expires: Column;
  readonly #seller: Column;
  readonly #category: Column;
  readonly #extra: Column;

  constructor(schema: Schema, draw: EventDraw, capacity: number, columns: EventColumns = new EventColumns(schema, capacity)) {
    const { words, padding } = draw.texts;
    this.#columns = columns;
    this.rows = columns.rows;
    this.#id = columns.column("id");
    this.#item = columns.text("itemName", words);
    this.#description = columns.text("description", words);
    this.#initialBid = columns.column("initialBid");
    this.#reserve = columns.column("reserve");
    this.#time = columns.column("dateTime");
    this.#expires = columns.column("expires");
    this.#seller = columns.column("seller");
    this.#category = columns.column("category");
    this.#extra = columns.text("extra", padding);
  }

  begin(count: number): void {
    this.#columns.begin(count);
  }

  put(draw: EventDraw, row: number): void {
    this.#id.numbers[row] = draw.id;
    putRange(this.#item, row, draw.itemStart, draw.itemEnd);
    putRange(this.#description, row, draw.descriptionStart, draw.descriptionEnd);
    this.#initialBid.numbers[row] = draw.initialBid;
    this.#reserve.numbers[row] = draw.reserve;
    this.#time.numbers[row] = draw.timeMs;
    this.rows.times[row] = draw.timeMs;
    this.#expires.numbers[row] = draw.expiresMs;
    this.#seller.numbers[row] = draw.seller;
    this.#category.numbers[row] = draw.category;
    putRange(this.#extra, row, draw.extraStart, draw.extraEnd);
  }
}

export class BidRows implements EventRows {
  readonly rows: Rows;
  readonly #columns: EventColumns;
  readonly #auction: Column;
  readonly #bidder: Column;
  readonly #price: Column;
  readonly #channel: Column;
  readonly #url: Column;
  readonly #time: Column;
  readonly #extra: Column;

  constructor(schema: Schema, draw: EventDraw, capacity: number, columns: EventColumns = new EventColumns(schema, capacity)) {
    const { channels, urls, padding } = draw.texts;
    this.#columns = columns;
    this.rows = columns.rows;
    this.#auction = columns.column("auction");
    this.#bidder = columns.column("bidder");
    this.#price = columns.column("price");
    this.#channel = columns.text("channel", channels.bytes);
    this.#url = columns.text("url", urls.bytes);
    this.#time = columns.column("dateTime");
    this.#extra = columns.text("extra", padding);
  }

  begin(count: number): void {
    this.#columns.begin(count);
  }

  put(draw: EventDraw, row: number): void {
    const { channels, urls } = draw.texts;
    this.#auction.numbers[row] = draw.auction;
    this.#bidder.numbers[row] = draw.bidder;
    this.#price.numbers[row] = draw.price;
    putEntry(this.#channel, row, channels, draw.channel);
    putEntry(this.#url, row, urls, draw.channel);
    this.#time.numbers[row] = draw.timeMs;
    this.rows.times[row] = draw.timeMs;
    putRange(this.#extra, row, draw.extraStart, draw.extraEnd);
  }
}

/** Which columns of the union belong to which types of events. */
const ownFields = [
  ["id", "name", "emailAddress", "creditCard", "city", "state"],
  ["id", "itemName", "description", "initialBid", "reserve", "expires", "seller", "category"],
  ["auction", "bidder", "price", "channel", "url"],
] as const;

/** All types in one schema: columns of other types are null. */
export class UnionRows implements EventRows {
  readonly rows: Rows;
  readonly #columns: EventColumns;
  readonly #writers: readonly [PersonRows, AuctionRows, BidRows];
  readonly #type: Column;
  readonly #nullable: Column[];
  readonly #own: readonly (readonly Column[])[];
  /** The null marks of `#own`, by type. */
  #marks: readonly (readonly Uint8Array[])[] = [];

  constructor(schema: Schema, draw: EventDraw, capacity: number) {
    const columns = new EventColumns(schema, capacity);
    this.#columns = columns;
    this.rows = columns.rows;
    this.#type = columns.column("eventType");
    this.#own = ownFields.map((fields) => fields.map((field) => columns.column(field)));
    this.#nullable = [...new Set(this.#own.flat())];
    this.#writers = [
      new PersonRows(schema, draw, capacity, columns),
      new AuctionRows(schema, draw, capacity, columns),
      new BidRows(schema, draw, capacity, columns),
    ];
  }

  begin(count: number): void {
    this.#columns.begin(count);
    // Everything is null until an event says otherwise: one fill per column instead of a store per row and column.
    for (const column of this.#nullable) {
      if (column.nulls === null || column.nulls.length < this.rows.capacity) column.nulls = new Uint8Array(this.rows.capacity);
      column.nulls.fill(isNull, 0, count);
    }
    this.#marks = this.#own.map((columns) => columns.map((column) => column.nulls as Uint8Array));
  }

  put(draw: EventDraw, row: number): void {
    const type = draw.type;
    this.#type.numbers[row] = type;
    const marks = this.#marks[type] as readonly Uint8Array[];
    for (let i = 0; i < marks.length; i++) (marks[i] as Uint8Array)[row] = present;
    if (type === 2) this.#writers[2].put(draw, row);
    else if (type === 1) this.#writers[1].put(draw, row);
    else this.#writers[0].put(draw, row);
  }
}
