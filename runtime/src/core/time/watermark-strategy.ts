// How a source derives watermarks from the event times that it sees: the description that a plan carries.
import { parseDuration } from "../../base/duration.ts";

/** Derives the watermark of one split. Made once per split; all calls are synchronous. */
export interface WatermarkGenerator {
  /** Rows with these event times (ms) have passed; `maxTimeMs` is the greatest of them. */
  onBatch(maxTimeMs: number): void;
  /** The watermark now: no row at or below it is expected any more. -Infinity until one can be known. */
  current(): number;
}

export interface WatermarkStrategy {
  readonly kind: "boundedOutOfOrderness" | "monotonic" | "none" | "custom";
  /** For `boundedOutOfOrderness`: how far a row may be behind the greatest time seen, ms. */
  readonly outOfOrdernessMs?: number;
  /** A split without rows for this long no longer holds the others back. Default: never idle. */
  readonly idleAfterMs?: number;
  /** Splits further ahead of the slowest than this are paused, ms. Default: no alignment. */
  readonly maxDriftMs?: number;
  /** The watermark advances with every row instead of every batch: what is late then follows from the order of rows alone. Default false. */
  readonly everyRow?: boolean;
  /** For `custom`. */
  readonly create?: () => WatermarkGenerator;
}

export interface WatermarkOptions {
  /** After how long a split without rows stops holding the others back: ms or `"30 s"`. Default: never. */
  readonly idleAfter?: number | string;
  /** How far a split may be ahead of the slowest one: ms or `"1 min"`. Default: any distance. */
  readonly maxDrift?: number | string;
  /**
   * The watermark advances with every row of a split instead of with every batch of them: exact to the row and the same in every
   * run, at the cost of smaller batches. Default false: rows of one batch are never late by each other.
   */
  readonly everyRow?: boolean;
}

function shared(options: WatermarkOptions): Pick<WatermarkStrategy, "idleAfterMs" | "maxDriftMs" | "everyRow"> {
  return {
    ...(options.everyRow === undefined ? {} : { everyRow: options.everyRow }),
    ...(options.idleAfter === undefined ? {} : { idleAfterMs: parseDuration(options.idleAfter, "idleAfter") }),
    ...(options.maxDrift === undefined ? {} : { maxDriftMs: parseDuration(options.maxDrift, "maxDrift") }),
  };
}

/** Rows may be up to `bound` (ms or `"4 s"`) behind the greatest time of their split: the watermark is that time - bound - 1. */
export function boundedOutOfOrderness(bound: number | string, options: WatermarkOptions = {}): WatermarkStrategy {
  return { kind: "boundedOutOfOrderness", outOfOrdernessMs: parseDuration(bound, "boundedOutOfOrderness"), ...shared(options) };
}

/** Times never go back within a split: the watermark is the last time - 1. */
export function monotonic(options: WatermarkOptions = {}): WatermarkStrategy {
  return { kind: "monotonic", ...shared(options) };
}

/** No watermarks: event time never advances, except to its end when a bounded source ends. */
export function noWatermarks(): WatermarkStrategy {
  return { kind: "none" };
}

/** A generator of the user's own, one per split. */
export function customWatermarks(create: () => WatermarkGenerator, options: WatermarkOptions = {}): WatermarkStrategy {
  return { kind: "custom", create, ...shared(options) };
}
