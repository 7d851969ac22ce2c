// One event at a time: draws its values from its number, as numbers and ranges of prepared bytes. Rows and JSON are made of it.
import { firstAuctionId, firstCategoryId, firstPersonId, type NexmarkConfig, roundSize, shuffledNumber, timeOfEvent } from "./config.ts";
import { EventRandom } from "./random.ts";
import { channelCount, hotChannelCount, nexmarkTexts, type NexmarkTexts, type TextTable } from "./texts.ts";

/** How many ids ahead of the latest one may be drawn: as if events had changed places on their way. */
const idLead = 10;
/** One in so many persons is a hot seller, and a hot bidder; one in so many auctions is hot. */
const hotStep = 100;
const categoryCount = 5;

/** Holds the values of the event that `draw` made last. A cursor: one object, fields overwritten from event to event. */
export class EventDraw {
  readonly texts: NexmarkTexts = nexmarkTexts();
  /** 0 person, 1 auction, 2 bid. */
  type = 0;
  timeMs = 0;
  /** Range of `texts.padding`. */
  extraStart = 0;
  extraEnd = 0;
  /** The person's or the auction's. */
  id = 0;
  /** Numbers of `texts.names`, `cities`, `states`, `channels` and `urls`. */
  name = 0;
  city = 0;
  state = 0;
  channel = 0;
  /** Bytes of the e-mail address and of the card number. */
  readonly email: Buffer = Buffer.alloc(16);
  emailLength = 0;
  readonly card: Buffer = Buffer.alloc(19, " ");
  /** Ranges of `texts.words`. */
  itemStart = 0;
  itemEnd = 0;
  descriptionStart = 0;
  descriptionEnd = 0;
  initialBid = 0;
  reserve = 0;
  expiresMs = 0;
  seller = 0;
  category = 0;
  auction = 0;
  bidder = 0;
  price = 0;
  readonly #config: NexmarkConfig;
  readonly #random: EventRandom;
  readonly #round: number;
  readonly #auctionLeadEvents: number;
  /** The latest person, and for auctions and bids the latest auction, as of this event; counted from 0. */
  #lastPerson = 0;
  #lastAuction = 0;

  constructor(config: NexmarkConfig) {
    this.#config = config;
    this.#random = new EventRandom(config.seed);
    this.#round = roundSize(config);
    this.#auctionLeadEvents = Math.floor((config.inFlightAuctions * this.#round) / config.auctionProportion);
  }

  /** The type of the event that comes as number `number`, without drawing it. */
  typeOf(number: number): number {
    return this.#typeAt(shuffledNumber(this.#config, number) % this.#round);
  }

  #typeAt(place: number): number {
    const { personProportion, auctionProportion } = this.#config;
    return place < personProportion ? 0 : place < personProportion + auctionProportion ? 1 : 2;
  }

  /** Makes the event that comes as number `number`. */
  draw(number: number): void {
    const { personProportion, auctionProportion } = this.#config;
    const id = shuffledNumber(this.#config, number);
    const turn = Math.floor(id / this.#round);
    const place = id - turn * this.#round;
    const type = this.#typeAt(place);
    this.#random.start(id);
    this.timeMs = timeOfEvent(this.#config, id);
    this.type = type;
    this.#lastPerson = turn * personProportion + Math.min(place, personProportion - 1);
    this.#lastAuction = turn * auctionProportion + (type === 1 ? place - personProportion : auctionProportion - 1);
    if (type === 2) this.#drawBid();
    else if (type === 1) this.#drawAuction(id);
    else this.#drawPerson();
  }

  /** One of the active persons, or of the next few to come. */
  #anyPerson(): number {
    const people = this.#lastPerson + 1;
    const active = Math.min(people, this.#config.activePeople);
    return people - active + this.#random.below(active + idLead);
  }

  #price(): number {
    return Math.round(10 ** (this.#random.fraction() * 6) * 100);
  }

  /** Padding that brings an event of `size` bytes to `average` bytes, more or less a fifth. */
  #drawExtra(size: number, average: number): void {
    const wanted = average - size;
    this.extraStart = 0;
    this.extraEnd = 0;
    if (wanted <= 0) return;
    const spread = Math.round(wanted * 0.2);
    const length = wanted - spread + (spread === 0 ? 0 : this.#random.below(2 * spread));
    this.extraStart = this.#random.below(this.texts.padding.length - length);
    this.extraEnd = this.extraStart + length;
  }

  #drawBid(): void {
    const config = this.#config;
    const random = this.#random;
    if (random.below(config.hotAuctionRatio) > 0) {
      this.auction = firstAuctionId + Math.floor(this.#lastAuction / hotStep) * hotStep;
    } else {
      const last = this.#lastAuction;
      const first = Math.max(last - config.inFlightAuctions, 0);
      this.auction = firstAuctionId + first + random.below(last - first + 1 + idLead);
    }
    // The second person of each hundred, so that hot bidders are not hot sellers.
    const bidder = random.below(config.hotBiddersRatio) > 0 ? Math.floor(this.#lastPerson / hotStep) * hotStep + 1 : this.#anyPerson();
    this.bidder = firstPersonId + bidder;
    this.price = this.#price();
    this.channel = random.below(2) > 0 ? random.below(hotChannelCount) : hotChannelCount + random.below(channelCount);
    this.#drawExtra(32, config.averageBidBytes);
  }

  #drawAuction(id: number): void {
    const config = this.#config;
    const random = this.#random;
    this.id = firstAuctionId + this.#lastAuction;
    const seller = random.below(config.hotSellersRatio) > 0 ? Math.floor(this.#lastPerson / hotStep) * hotStep : this.#anyPerson();
    this.seller = firstPersonId + seller;
    this.category = firstCategoryId + random.below(categoryCount);
    this.initialBid = this.#price();
    // On average an auction lasts until so many others have begun.
    const horizonMs = timeOfEvent(config, id + this.#auctionLeadEvents) - this.timeMs;
    this.expiresMs = this.timeMs + 1 + random.below(Math.max(horizonMs * 2, 1));
    this.itemStart = this.#wordStart(3 + random.below(17));
    this.itemEnd = this.#wordEnd;
    this.descriptionStart = this.#wordStart(3 + random.below(97));
    this.descriptionEnd = this.#wordEnd;
    this.reserve = this.initialBid + this.#price();
    this.#drawExtra(48 + this.itemEnd - this.itemStart + this.descriptionEnd - this.descriptionStart, config.averageAuctionBytes);
  }

  #wordEnd = 0;

  /** A range of words of at most `length` bytes, without spaces at its ends: returns its start and leaves its end in `#wordEnd`. */
  #wordStart(length: number): number {
    const words = this.texts.words;
    let start = this.#random.below(words.length - length);
    let end = start + length;
    while (end > start && words[end - 1] === 32) end--;
    while (start < end && words[start] === 32) start++;
    this.#wordEnd = end;
    return start;
  }

  #drawPerson(): void {
    const { names, cities, states, words } = this.texts;
    const random = this.#random;
    this.id = firstPersonId + this.#lastPerson;
    this.name = random.below(names.starts.length);
    const user = this.#wordStart(3 + random.below(4));
    let at = words.copy(this.email, 0, user, this.#wordEnd);
    this.email[at++] = 64;
    const domain = this.#wordStart(3 + random.below(2));
    at += words.copy(this.email, at, domain, this.#wordEnd);
    this.emailLength = at + this.email.write(".com", at, "latin1");
    for (let group = 0; group < 4; group++) {
      let digits = random.below(10_000);
      for (let i = 3; i >= 0; i--) {
        this.card[group * 5 + i] = 48 + (digits % 10);
        digits = Math.floor(digits / 10);
      }
    }
    this.city = random.below(cities.starts.length);
    this.state = random.below(states.starts.length);
    const length = (table: TextTable, i: number): number => (table.ends[i] as number) - (table.starts[i] as number);
    const size = 8 + length(names, this.name) + this.emailLength + 19 + length(cities, this.city) + length(states, this.state);
    this.#drawExtra(size, this.#config.averagePersonBytes);
  }
}
