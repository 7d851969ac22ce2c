// The three tables of Nexmark as streams, from one source each or from one source of all events; what every query begins with.
import {
  boundedOutOfOrderness,
  type Flow,
  job,
  type Job,
  type SinkEndpoint,
  type Stream,
  type WatermarkStrategy,
} from "../../../runtime/src/index.ts";
import {
  type NexmarkAuction,
  type NexmarkBid,
  type NexmarkEvent,
  type NexmarkOptions,
  type NexmarkPerson,
  nexmark,
  nexmarkAuctionSchema,
  nexmarkBidSchema,
  nexmarkEventType,
  nexmarkPersonSchema,
} from "../../../runtime/src/connectors/nexmark/index.ts";
import type { Source } from "../../../runtime/src/core/ports/source.ts";

export interface NexmarkInput {
  readonly generator: NexmarkOptions;
  /** `tables`: a source for each table that a query reads. `events`: one source with all events, split by their type. Default `tables`. */
  readonly form?: "tables" | "events" | undefined;
  /** Puts something around each source: a test holds events back with it. */
  readonly wrap?: <S extends Source>(source: S) => S;
}

export interface NexmarkQuery {
  /** As in `q7`. */
  readonly number: number;
  readonly title: string;
  /** `append`: rows are inserted and stay. `updates`: a changelog, whose table is the result. */
  readonly result: "append" | "updates";
  /** The fields of a result row, in order. */
  readonly fields: readonly string[];
  /** Describes the dataflow from the tables to `out`. */
  readonly describe: (tables: NexmarkTables, out: SinkEndpoint) => void;
}

/** As in Nexmark's table definition for Flink: an event may be 4 s behind the latest. */
const watermarks: WatermarkStrategy = boundedOutOfOrderness("4 s");

/** The streams are made when they are first asked for, so a job has the sources that its query reads. */
export class NexmarkTables {
  readonly flow: Flow;
  readonly #input: NexmarkInput;
  #events: Stream<NexmarkEvent, Readonly<Record<"person" | "auction" | "bid", NexmarkEvent>>> | undefined;
  #persons: Stream<NexmarkPerson> | undefined;
  #auctions: Stream<NexmarkAuction> | undefined;
  #bids: Stream<NexmarkBid> | undefined;

  constructor(flow: Flow, input: NexmarkInput) {
    this.flow = flow;
    this.#input = input;
  }

  get persons(): Stream<NexmarkPerson> {
    this.#persons ??=
      this.#input.form === "events"
        ? this.#split.side("person").map(nexmarkPersonSchema, (event) => event as NexmarkPerson, { uid: "persons" })
        : this.#read("persons", nexmark({ ...this.#input.generator, table: "person" }));
    return this.#persons;
  }

  get auctions(): Stream<NexmarkAuction> {
    this.#auctions ??=
      this.#input.form === "events"
        ? this.#split.side("auction").map(nexmarkAuctionSchema, (event) => event as NexmarkAuction, { uid: "auctions" })
        : this.#read("auctions", nexmark({ ...this.#input.generator, table: "auction" }));
    return this.#auctions;
  }

  get bids(): Stream<NexmarkBid> {
    this.#bids ??=
      this.#input.form === "events"
        ? this.#split.side("bid").map(nexmarkBidSchema, (event) => event as NexmarkBid, { uid: "bids" })
        : this.#read("bids", nexmark({ ...this.#input.generator, table: "bid" }));
    return this.#bids;
  }

  // The fields of an event's own type are there; those of the other types are null.
  get #split(): Stream<NexmarkEvent, Readonly<Record<"person" | "auction" | "bid", NexmarkEvent>>> {
    this.#events ??= this.#read("events", nexmark(this.#input.generator)).split(
      {
        person: (event) => event.eventType === nexmarkEventType.person,
        auction: (event) => event.eventType === nexmarkEventType.auction,
        bid: (event) => event.eventType === nexmarkEventType.bid,
      },
      { uid: "by-type" },
    );
    return this.#events;
  }

  #read<Row>(uid: string, { source }: { readonly source: Source & { readonly schema: Stream<Row>["schema"] } }): Stream<Row> {
    const { wrap } = this.#input;
    return this.flow.source(uid, { source: wrap === undefined ? source : wrap(source) }, { time: "dateTime" as never, watermarks });
  }
}

/** A new job of a query; it builds the same dataflow from the same input. */
export function nexmarkJob(query: NexmarkQuery, input: NexmarkInput, out: SinkEndpoint): Job {
  return job(`nexmark-q${query.number}`, (flow) => query.describe(new NexmarkTables(flow, input), out));
}
