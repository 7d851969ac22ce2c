// What a Nexmark run is: options with the standard defaults, and the arithmetic of event numbers, ids and times.
//
// Numbers and rules follow the Nexmark generator of Apache Beam (sdks/java/testing/nexmark) and its successor for Flink
// (github.com/nexmark/nexmark, package com.github.nexmark.flink.generator). The one place where those two differ is told in source.ts.
import { integerOption, positiveOption, refuseUnknownOptions } from "../../base/options.ts";

export const firstAuctionId = 1000;
export const firstPersonId = 1000;
export const firstCategoryId = 10;
/** 2015-07-15T00:00:00Z, as in Beam. */
const standardBaseTimeMs = 1_436_918_400_000;

export interface NexmarkOptions {
  /** How many events there are in all; without it the source never ends. */
  readonly events?: number;
  /** Into how many splits the events are dealt. The events are the same whatever it is. Default 4. */
  readonly splits?: number;
  /** Events per second of processing time, all splits together. Default no limit. */
  readonly eventsPerSecond?: number;
  /** Events per second of event time: how fast the generated clock runs. Default 10,000. */
  readonly eventTimeRate?: number;
  /** Event time of event 0, ms since the epoch. Default 2015-07-15T00:00:00Z. */
  readonly baseTimeMs?: number;
  /** Events are shuffled within groups of so many. Default 1: in order of event time. */
  readonly outOfOrderGroupSize?: number;
  /** Other seeds give other events of the same shape. Default 0. */
  readonly seed?: number;
  /** Of so many events in all, how many are persons, auctions, bids. Default 1, 3, 46. */
  readonly personProportion?: number;
  readonly auctionProportion?: number;
  readonly bidProportion?: number;
  /** 1 - 1/ratio of bids go to hot auctions, of auctions come from hot sellers, of bids from hot bidders. Default 2, 4, 4. */
  readonly hotAuctionRatio?: number;
  readonly hotSellersRatio?: number;
  readonly hotBiddersRatio?: number;
  /** How many of the latest auctions get bids. Default 100. */
  readonly inFlightAuctions?: number;
  /** How many of the latest persons sell and bid. Default 1,000. */
  readonly activePeople?: number;
  /** Average size of an event with its padding, bytes. Default 200, 500, 100. */
  readonly averagePersonBytes?: number;
  readonly averageAuctionBytes?: number;
  readonly averageBidBytes?: number;
}

export type NexmarkConfig = Readonly<Required<NexmarkOptions>>;

const known: readonly (keyof NexmarkOptions)[] = [
  "events",
  "splits",
  "eventsPerSecond",
  "eventTimeRate",
  "baseTimeMs",
  "outOfOrderGroupSize",
  "seed",
  "personProportion",
  "auctionProportion",
  "bidProportion",
  "hotAuctionRatio",
  "hotSellersRatio",
  "hotBiddersRatio",
  "inFlightAuctions",
  "activePeople",
  "averagePersonBytes",
  "averageAuctionBytes",
  "averageBidBytes",
];

/** Fills in the defaults. Throws OPTION_UNKNOWN and OPTION_INVALID. */
export function nexmarkConfig(options: NexmarkOptions): NexmarkConfig {
  const subject = "nexmark";
  refuseUnknownOptions(subject, options, known);
  const whole = (name: keyof NexmarkOptions, fallback: number, least: number, most = 1_000_000_000): number =>
    integerOption(subject, name, options[name], fallback, least, most);
  return {
    events: whole("events", Number.POSITIVE_INFINITY, 0, Number.POSITIVE_INFINITY),
    splits: whole("splits", 4, 1, 10_000),
    eventsPerSecond: positiveOption(subject, "eventsPerSecond", options.eventsPerSecond, Number.POSITIVE_INFINITY),
    eventTimeRate: positiveOption(subject, "eventTimeRate", options.eventTimeRate, 10_000),
    baseTimeMs: whole("baseTimeMs", standardBaseTimeMs, 0, 8_640_000_000_000_000),
    outOfOrderGroupSize: whole("outOfOrderGroupSize", 1, 1),
    seed: whole("seed", 0, 0, 0xffffffff),
    personProportion: whole("personProportion", 1, 1, 10_000),
    auctionProportion: whole("auctionProportion", 3, 1, 10_000),
    bidProportion: whole("bidProportion", 46, 0, 10_000),
    hotAuctionRatio: whole("hotAuctionRatio", 2, 1),
    hotSellersRatio: whole("hotSellersRatio", 4, 1),
    hotBiddersRatio: whole("hotBiddersRatio", 4, 1),
    inFlightAuctions: whole("inFlightAuctions", 100, 1),
    activePeople: whole("activePeople", 1000, 1),
    averagePersonBytes: whole("averagePersonBytes", 200, 0, 100_000),
    averageAuctionBytes: whole("averageAuctionBytes", 500, 0, 100_000),
    averageBidBytes: whole("averageBidBytes", 100, 0, 100_000),
  };
}

/** Persons, auctions and bids come in rounds of so many events, persons first. */
export function roundSize(config: NexmarkConfig): number {
  return config.personProportion + config.auctionProportion + config.bidProportion;
}

/** Event time of event `number`, ms since the epoch. */
export function timeOfEvent(config: NexmarkConfig, number: number): number {
  return config.baseTimeMs + Math.floor(Math.floor(number * (1_000_000 / config.eventTimeRate)) / 1000);
}

/** Which event is the `number`-th to come: the same number, or another of its group when events are out of order. */
export function shuffledNumber(config: NexmarkConfig, number: number): number {
  const size = config.outOfOrderGroupSize;
  if (size === 1) return number;
  const group = Math.floor(number / size) * size;
  return group + ((number * 953) % size);
}

/** The `number`-th event of the shares of `splits` readers that split `index` has next, from `number` on: whole rounds in turn. */
export function nextOfSplit(number: number, index: number, splits: number, round: number): number {
  const turn = Math.floor(number / round);
  const behind = (turn - index + splits) % splits;
  return behind === 0 ? number : (turn + splits - behind) * round;
}
