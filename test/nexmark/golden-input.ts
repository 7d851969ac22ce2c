// The events that the golden tests of Nexmark run on, and what DuckDB makes of them.
import type { NexmarkOptions } from "../../runtime/src/connectors/nexmark/index.ts";
import type { NexmarkQuery } from "./queries/tables.ts";
import { references as ofQueries } from "./reference/all.ts";
import { NexmarkDuck } from "./reference/events.ts";
import { type ClockSteps, q12 } from "./reference/q12.ts";
import { referenceLines } from "./result.ts";

export const events = 4000;
const hourMs = 3_600_000;
export const clockSteps: ClockSteps = { startMs: 7_003_000, stepMs: 3000, every: 600 };
/** Where a test's clock goes on, by the number of events. */
export const clockStops: readonly number[] = Array.from(
  { length: Math.floor(events / clockSteps.every) },
  (_, index) => (index + 1) * clockSteps.every,
);

/** 80 s of event time; events are up to 0.4 s out of order, which is within the watermarks' 4 s, so nothing is late. */
const common = (seed: number): NexmarkOptions => ({ events, splits: 4, seed, eventTimeRate: 50, outOfOrderGroupSize: 20 });

const generators = {
  common,
  /** 11 hours, from 16:00 on over midnight: for queries that look at the hour or the day. */
  slow: (seed: number): NexmarkOptions => ({ ...common(seed), eventTimeRate: 0.1, baseTimeMs: 1_436_918_400_000 + 16 * hourMs }),
  /** For queries about persons: more of them, and more of them sell. */
  people: (seed: number): NexmarkOptions => ({
    ...common(seed),
    personProportion: 5,
    auctionProportion: 15,
    bidProportion: 30,
    hotSellersRatio: 2,
  }),
  /** For processing time the order of events must be that of their numbers. */
  ordered: (seed: number): NexmarkOptions => ({ ...common(seed), outOfOrderGroupSize: 1 }),
} as const;

function kindOf(query: NexmarkQuery): keyof typeof generators {
  if (query.number === 12) return "ordered";
  if (query.number === 3 || query.number === 8) return "people";
  return query.number === 14 || query.number === 17 ? "slow" : "common";
}

export function generatorOf(query: NexmarkQuery, seed: number): NexmarkOptions {
  return generators[kindOf(query)](seed);
}

/** The events of all generators, in DuckDB. */
export interface References {
  of(query: NexmarkQuery): NexmarkDuck;
  close(): void;
}

export async function openReferences(seed: number): Promise<References> {
  const opened = new Map<string, NexmarkDuck>();
  for (const [kind, options] of Object.entries(generators)) opened.set(kind, await NexmarkDuck.open(options(seed)));
  return {
    of: (query) => opened.get(kindOf(query)) as NexmarkDuck,
    close() {
      for (const duck of opened.values()) duck.close();
    },
  };
}

/** What a query must give, as sorted lines. */
export async function expectedLines(query: NexmarkQuery, references: References): Promise<readonly string[]> {
  const reference = query.number === 12 ? q12(clockSteps) : ofQueries.get(query.number);
  if (reference === undefined) throw new Error(`query ${query.number} has no reference`);
  return referenceLines(await reference(references.of(query)));
}
