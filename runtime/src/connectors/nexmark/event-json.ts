// Events as JSON records `{event_type, person, auction, bid}`: the form in which Nexmark events travel through a topic.
import type { RawRecords } from "../../core/batch/raw-records.ts";
import type { SourceBatch } from "../../core/ports/source.ts";
import type { EventDraw } from "./event.ts";
import { JsonBytes } from "./json-bytes.ts";
import type { EventBlocks } from "./source.ts";
import type { TextTable } from "./texts.ts";

const ascii = (text: string): Buffer => Buffer.from(text, "latin1");

/** What stands between the values. No value needs escaping. */
const pieces = {
  person: ascii('{"event_type":0,"person":{"id":'),
  name: ascii(',"name":"'),
  email: ascii('","emailAddress":"'),
  card: ascii('","creditCard":"'),
  city: ascii('","city":"'),
  state: ascii('","state":"'),
  personEnd: ascii('"},"auction":null,"bid":null}'),
  auction: ascii('{"event_type":1,"person":null,"auction":{"id":'),
  item: ascii(',"itemName":"'),
  description: ascii('","description":"'),
  initialBid: ascii('","initialBid":'),
  reserve: ascii(',"reserve":'),
  time: ascii(',"dateTime":"'),
  expires: ascii('","expires":"'),
  seller: ascii('","seller":'),
  category: ascii(',"category":'),
  padding: ascii(',"extra":"'),
  auctionEnd: ascii('"},"bid":null}'),
  bid: ascii('{"event_type":2,"person":null,"auction":null,"bid":{"auction":'),
  bidder: ascii(',"bidder":'),
  price: ascii(',"price":'),
  channel: ascii(',"channel":"'),
  url: ascii('","url":"'),
  textTime: ascii('","dateTime":"'),
  extra: ascii('","extra":"'),
  bidEnd: ascii('"}}'),
} as const;

/** Raw records without keys; their timestamp is the event's time and their position the event's number. */
export class JsonBlocks implements EventBlocks {
  readonly #out = new JsonBytes();
  readonly #pieces = pieces;
  readonly #second: Buffer = ascii("2015-07-15T00:00:00.");
  #secondStartMs = Number.NaN;
  #keys = new Int32Array(0);
  #starts = new Int32Array(0);
  #ends = new Int32Array(0);
  #times = new Float64Array(0);
  #positions = new Float64Array(0);

  begin(count: number): void {
    this.#out.length = 0;
    if (this.#starts.length >= count) return;
    this.#keys = new Int32Array(count).fill(-1);
    this.#starts = new Int32Array(count);
    this.#ends = new Int32Array(count);
    this.#times = new Float64Array(count);
    this.#positions = new Float64Array(count);
  }

  put(draw: EventDraw, row: number, number: number): void {
    const out = this.#out;
    out.reserve(draw.extraEnd - draw.extraStart);
    this.#starts[row] = out.length;
    if (draw.type === 2) this.#bid(draw, out);
    else if (draw.type === 1) this.#auction(draw, out);
    else this.#person(draw, out);
    this.#ends[row] = out.length;
    this.#times[row] = draw.timeMs;
    this.#positions[row] = number;
  }

  #entry(before: Buffer, table: TextTable, entry: number): void {
    this.#out.all(before);
    this.#out.range(table.bytes, table.starts[entry] as number, table.ends[entry] as number);
  }

  // ISO 8601 in UTC with milliseconds. Events follow each other closely, so most share their second.
  #instant(before: Buffer, timeMs: number): void {
    const secondStartMs = Math.floor(timeMs / 1000) * 1000;
    if (secondStartMs !== this.#secondStartMs) {
      this.#secondStartMs = secondStartMs;
      this.#second.write(new Date(secondStartMs).toISOString(), 0, 20, "latin1");
    }
    const out = this.#out;
    out.all(before);
    out.all(this.#second);
    const ms = timeMs - secondStartMs;
    const at = out.length;
    out.buffer[at] = 48 + Math.floor(ms / 100);
    out.buffer[at + 1] = 48 + (Math.floor(ms / 10) % 10);
    out.buffer[at + 2] = 48 + (ms % 10);
    out.buffer[at + 3] = 90;
    out.length = at + 4;
  }

  #end(before: Buffer, draw: EventDraw, end: Buffer): void {
    this.#out.all(before);
    this.#out.range(draw.texts.padding, draw.extraStart, draw.extraEnd);
    this.#out.all(end);
  }

  #person(draw: EventDraw, out: JsonBytes): void {
    const { names, cities, states } = draw.texts;
    const between = this.#pieces;
    out.all(between.person);
    out.integer(draw.id);
    this.#entry(between.name, names, draw.name);
    out.all(between.email);
    out.range(draw.email, 0, draw.emailLength);
    out.all(between.card);
    out.all(draw.card);
    this.#entry(between.city, cities, draw.city);
    this.#entry(between.state, states, draw.state);
    this.#instant(between.textTime, draw.timeMs);
    this.#end(between.extra, draw, between.personEnd);
  }

  #auction(draw: EventDraw, out: JsonBytes): void {
    const { words } = draw.texts;
    const between = this.#pieces;
    out.all(between.auction);
    out.integer(draw.id);
    out.all(between.item);
    out.range(words, draw.itemStart, draw.itemEnd);
    out.all(between.description);
    out.range(words, draw.descriptionStart, draw.descriptionEnd);
    out.all(between.initialBid);
    out.integer(draw.initialBid);
    out.all(between.reserve);
    out.integer(draw.reserve);
    this.#instant(between.time, draw.timeMs);
    this.#instant(between.expires, draw.expiresMs);
    out.all(between.seller);
    out.integer(draw.seller);
    out.all(between.category);
    out.integer(draw.category);
    this.#end(between.padding, draw, between.auctionEnd);
  }

  #bid(draw: EventDraw, out: JsonBytes): void {
    const { channels, urls } = draw.texts;
    const between = this.#pieces;
    out.all(between.bid);
    out.integer(draw.auction);
    out.all(between.bidder);
    out.integer(draw.bidder);
    out.all(between.price);
    out.integer(draw.price);
    this.#entry(between.channel, channels, draw.channel);
    this.#entry(between.url, urls, draw.channel);
    this.#instant(between.textTime, draw.timeMs);
    this.#end(between.extra, draw, between.bidEnd);
  }

  finish(splitId: string, count: number): SourceBatch {
    const records: RawRecords = {
      splitId,
      count,
      bytes: this.#out.buffer,
      keyStart: this.#keys,
      keyEnd: this.#keys,
      valueStart: this.#starts,
      valueEnd: this.#ends,
      timestampMs: this.#times,
      position: this.#positions,
    };
    return { kind: "raw", records };
  }
}
