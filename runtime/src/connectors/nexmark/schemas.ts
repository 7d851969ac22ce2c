// The rows of Nexmark: persons, auctions, bids, all three in one stream, and the nested form that they have as JSON.
import { int53, string, struct, timestamp } from "../../core/schema/field.ts";
import { type Schema, schema } from "../../core/schema/schema.ts";

/** What `eventType` of an event says. */
export const nexmarkEventType = { person: 0, auction: 1, bid: 2 } as const;

export interface NexmarkPerson {
  readonly id: number;
  readonly name: string;
  readonly emailAddress: string;
  readonly creditCard: string;
  readonly city: string;
  readonly state: string;
  readonly dateTime: number;
  /** Padding. */
  readonly extra: string;
}

export interface NexmarkAuction {
  readonly id: number;
  readonly itemName: string;
  readonly description: string;
  /** Cents. */
  readonly initialBid: number;
  readonly reserve: number;
  readonly dateTime: number;
  readonly expires: number;
  /** A person's id. */
  readonly seller: number;
  readonly category: number;
  readonly extra: string;
}

export interface NexmarkBid {
  /** An auction's id. */
  readonly auction: number;
  /** A person's id. */
  readonly bidder: number;
  /** Cents. */
  readonly price: number;
  readonly channel: string;
  readonly url: string;
  readonly dateTime: number;
  readonly extra: string;
}

type Nullable<T> = { readonly [K in keyof T]: T[K] | null };

/** An event of any type: the fields of the other types are null. `id` is the person's or the auction's. */
export type NexmarkEvent = { readonly eventType: number; readonly dateTime: number; readonly extra: string } & Nullable<
  Omit<NexmarkPerson & NexmarkAuction & NexmarkBid, "dateTime" | "extra">
>;

const person = {
  id: int53(),
  name: string(),
  emailAddress: string(),
  creditCard: string(),
  city: string(),
  state: string(),
  dateTime: timestamp({ text: "iso" }),
  extra: string(),
};
const auction = {
  id: int53(),
  itemName: string(),
  description: string(),
  initialBid: int53(),
  reserve: int53(),
  dateTime: timestamp({ text: "iso" }),
  expires: timestamp({ text: "iso" }),
  seller: int53(),
  category: int53(),
  extra: string(),
};
const bid = {
  auction: int53(),
  bidder: int53(),
  price: int53(),
  channel: string(),
  url: string(),
  dateTime: timestamp({ text: "iso" }),
  extra: string(),
};

export const nexmarkPersonSchema: Schema<NexmarkPerson> = schema(person);
export const nexmarkAuctionSchema: Schema<NexmarkAuction> = schema(auction);
export const nexmarkBidSchema: Schema<NexmarkBid> = schema(bid);

/** All three in one stream, flat: every event has a type, a time and padding; the rest is null where it does not belong. */
export const nexmarkEventSchema: Schema<NexmarkEvent> = schema({
  eventType: int53(),
  dateTime: person.dateTime,
  id: int53().nullable(),
  name: string().nullable(),
  emailAddress: string().nullable(),
  creditCard: string().nullable(),
  city: string().nullable(),
  state: string().nullable(),
  itemName: string().nullable(),
  description: string().nullable(),
  initialBid: int53().nullable(),
  reserve: int53().nullable(),
  expires: auction.expires.nullable(),
  seller: int53().nullable(),
  category: int53().nullable(),
  auction: int53().nullable(),
  bidder: int53().nullable(),
  price: int53().nullable(),
  channel: string().nullable(),
  url: string().nullable(),
  extra: string(),
});

/** The form that Nexmark events have in a topic: `{event_type, person, auction, bid}`, two of the three null. */
export interface NexmarkJsonEvent {
  readonly event_type: number;
  readonly person: NexmarkPerson | null;
  readonly auction: NexmarkAuction | null;
  readonly bid: NexmarkBid | null;
}

export const nexmarkJsonSchema: Schema<NexmarkJsonEvent> = schema({
  event_type: int53(),
  person: struct(person).nullable(),
  auction: struct(auction).nullable(),
  bid: struct(bid).nullable(),
});
