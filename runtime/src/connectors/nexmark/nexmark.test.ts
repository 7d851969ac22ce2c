// Nexmark against the connector contract and against the rules of the standard generator, recounted event by event.
import { expect, test } from "vitest";
import { ManualClock } from "../../base/clock.ts";
import { isMillraceError } from "../../base/errors.ts";
import { rowView } from "../../core/batch/row-view.ts";
import type { Format } from "../../core/ports/format.ts";
import type { Source, SourceReader } from "../../core/ports/source.ts";
import { sourceContract } from "../contract/index.ts";
import { contractContext } from "../contract/suite.ts";
import {
  type NexmarkEvent,
  type NexmarkJsonEvent,
  nexmark,
  nexmarkAuctionSchema,
  nexmarkBidSchema,
  nexmarkJson,
  nexmarkJsonSchema,
  type NexmarkOptions,
  nexmarkPersonSchema,
} from "./index.ts";

// The generator never asks its format for anything.
const jsonFormat: Format<NexmarkJsonEvent> = {
  name: "json",
  schema: nexmarkJsonSchema,
  options: {},
  openDecoder: () => Promise.reject(new Error("not asked for")),
  openEncoder: () => Promise.reject(new Error("not asked for")),
};

async function openAll(source: Source): Promise<SourceReader> {
  const reader = await source.openReader(contractContext());
  reader.assign(await (await source.openEnumerator(contractContext())).discover(new Set()));
  return reader;
}

/** Everything that a bounded source has, by split, as row objects. */
async function rowsOf<Row>(endpoint: { readonly source: Source }): Promise<Row[]> {
  const reader = await openAll(endpoint.source);
  const rows: Row[] = [];
  for (let block = reader.poll(1000); block !== null; block = reader.poll(1000)) {
    if (block.kind !== "rows") throw new Error("no rows");
    const view = rowView(block.rows.schema);
    for (let i = 0; i < block.rows.size; i++) {
      view.point(block.rows, i);
      rows.push({ ...view } as Row);
      expect(block.rows.times[i]).toBe((view as unknown as { dateTime: number }).dateTime);
    }
  }
  return rows;
}

async function recordsOf(options: NexmarkOptions): Promise<NexmarkJsonEvent[]> {
  const reader = await openAll(nexmarkJson(jsonFormat, options).source);
  const events: NexmarkJsonEvent[] = [];
  for (let block = reader.poll(777); block !== null; block = reader.poll(777)) {
    if (block.kind !== "raw") throw new Error("no records");
    const { bytes, valueStart, valueEnd, keyStart, count } = block.records;
    for (let i = 0; i < count; i++) {
      expect(keyStart[i]).toBe(-1);
      events.push(JSON.parse(Buffer.from(bytes.subarray(valueStart[i], valueEnd[i])).toString()) as NexmarkJsonEvent);
    }
  }
  return events;
}

/** An order in which equal sets of events are equal lists. */
const inOrder = <T extends object>(rows: readonly T[]): T[] => {
  const text = (row: T): string => JSON.stringify(Object.entries(row).sort(([x], [y]) => (x < y ? -1 : 1)));
  return rows
    .map((row) => ({ row, key: text(row) }))
    .sort((x, y) => (x.key < y.key ? -1 : 1))
    .map((entry) => entry.row);
};
const defined = (event: NexmarkEvent): object => Object.fromEntries(Object.entries(event).filter(([, value]) => value !== null));

for (const [name, endpoint] of [
  ["all events as rows", nexmark({ events: 130, splits: 3 })],
  ["bids as rows, out of order", nexmark({ events: 250, splits: 2, table: "bid", outOfOrderGroupSize: 7 })],
  ["persons as rows", nexmark({ events: 1009, splits: 3, table: "person" })],
  ["records", nexmarkJson(jsonFormat, { events: 130, splits: 3 })],
] as const) {
  sourceContract(test, {
    name,
    open: async () => {
      // What a single split has is compared with what the same share of a source has that is read alone, in single steps.
      const records = new Map<string, string[]>();
      const enumerator = await endpoint.source.openEnumerator(contractContext());
      for (const split of await enumerator.discover(new Set())) {
        const reader = await endpoint.source.openReader(contractContext());
        reader.assign([split]);
        const texts: string[] = [];
        for (let block = reader.poll(1); block !== null; block = reader.poll(1)) {
          if (block.kind === "rows") {
            const view = rowView(block.rows.schema);
            view.point(block.rows, 0);
            texts.push(JSON.stringify(view));
          } else {
            const { bytes, valueStart, valueEnd } = block.records;
            texts.push(Buffer.from(bytes.subarray(valueStart[0], valueEnd[0])).toString());
          }
        }
        records.set(split.id, texts);
      }
      return { source: endpoint.source, records, dispose: async () => {} };
    },
  });
}

test("every event follows the standard rules", async () => {
  const events = await rowsOf<NexmarkEvent>(nexmark({ events: 30_000, splits: 1 }));
  expect(events.length).toBe(30_000);
  let persons = 0;
  let auctions = 0;
  const hot = { auctions: 0, sellers: 0, bidders: 0, channels: 0 };
  const sizes = [0, 0, 0];
  const prices: number[] = [];
  const hotChannels = ["Google", "Facebook", "Baidu", "Apple"];
  const sameUrl = new Map<string, string>();
  for (const [number, event] of events.entries()) {
    const place = number % 50;
    expect(event.eventType).toBe(place < 1 ? 0 : place < 4 ? 1 : 2);
    // 10,000 events per second of event time are ten per millisecond.
    expect(event.dateTime).toBe(Date.UTC(2015, 6, 15) + Math.floor(number / 10));
    sizes[event.eventType] = (sizes[event.eventType] as number) + event.extra.length;
    expect(event.extra).toMatch(/^[a-z]*$/);
    if (event.eventType === 0) {
      expect(event.id).toBe(1000 + persons++);
      expect(event.emailAddress).toMatch(/^[a-z ]{0,6}@[a-z ]{0,4}\.com$/);
      expect(event.creditCard).toMatch(/^\d{4} \d{4} \d{4} \d{4}$/);
      expect(event.name).toMatch(/^[A-Z][a-z]+ [A-Z][a-z]+$/);
      expect("AZ,CA,ID,OR,WA,WY".split(",")).toContain(event.state);
      expect(event.auction).toBe(null);
      expect(event.seller).toBe(null);
    } else if (event.eventType === 1) {
      expect(event.id).toBe(1000 + auctions++);
      const seller = (event.seller as number) - 1000;
      if (seller === Math.floor((persons - 1) / 100) * 100) hot.sellers++;
      else expect(seller >= Math.max(0, persons - 1000) && seller < persons + 10).toBe(true);
      expect([10, 11, 12, 13, 14]).toContain(event.category);
      expect((event.reserve as number) > (event.initialBid as number)).toBe(true);
      // 100 auctions ahead are 1,666 events, so 166 ms and twice that at most.
      const lasts = (event.expires as number) - event.dateTime;
      expect(lasts >= 1 && lasts <= 2 * 167).toBe(true);
      expect(event.itemName).toMatch(/^([a-z][a-z ]{0,17}[a-z]|[a-z]?)$/);
      expect((event.description as string).length).toBeLessThan(100);
      expect(event.price).toBe(null);
      expect(event.city).toBe(null);
    } else {
      const auction = (event.auction as number) - 1000;
      if (auction === Math.floor((auctions - 1) / 100) * 100) hot.auctions++;
      else expect(auction >= Math.max(0, auctions - 101) && auction < auctions + 10).toBe(true);
      const bidder = (event.bidder as number) - 1000;
      if (bidder === Math.floor((persons - 1) / 100) * 100 + 1) hot.bidders++;
      else expect(bidder >= Math.max(0, persons - 1000) && bidder < persons + 10).toBe(true);
      prices.push(event.price as number);
      if (hotChannels.includes(event.channel as string)) hot.channels++;
      else expect(event.channel).toMatch(/^channel-\d{1,4}$/);
      expect(event.url).toMatch(/^https:\/\/www\.nexmark\.com(\/[a-z_]{3,4}){3}\/item\.htm\?query=1(&channel_id=\d+)?$/);
      const url = sameUrl.get(event.channel as string);
      if (url !== undefined) expect(event.url).toBe(url);
      sameUrl.set(event.channel as string, event.url as string);
      expect(event.id).toBe(null);
    }
  }
  expect([persons, auctions]).toEqual([600, 1800]);
  // Shares of hot ones: 1 - 1/ratio, and a little more since the rest may draw them too. Four standard deviations wide.
  const near = (got: number, of: number, share: number): void => {
    const width = 4 * Math.sqrt((share * (1 - share)) / of);
    expect(got / of).toBeGreaterThan(share - width);
    expect(got / of).toBeLessThan(share + width + 0.01);
  };
  near(hot.auctions, 27_600, 1 / 2);
  near(hot.sellers, 1800, 3 / 4);
  near(hot.bidders, 27_600, 3 / 4);
  near(hot.channels, 27_600, 1 / 2);
  // Prices are 10^(6u) dollars: a sixth of them in each power of ten.
  for (let power = 2; power < 8; power++) {
    near(prices.filter((price) => price >= 10 ** power && price < 10 ** (power + 1)).length, 27_600, 1 / 6);
  }
  expect(Math.min(...prices.slice(0, 50_000)) >= 100 && Math.max(...prices.slice(0, 50_000)) <= 100_000_000).toBe(true);
  // Padding brings a bid to 100 bytes beyond its four numbers: 54 to 81 bytes of it, 67.5 on average.
  const bidPadding = (sizes[2] as number) / 27_600;
  expect(bidPadding).toBeGreaterThan(67);
  expect(bidPadding).toBeLessThan(68);
  // The two longest texts of an auction are some 11 and 51 bytes: padding makes it 500, of a person 200.
  const auctionSize = (sizes[1] as number) / 1800 + 48 + 11 + 51;
  expect(auctionSize).toBeGreaterThan(490);
  expect(auctionSize).toBeLessThan(510);
});

test("the events are the same in any number of splits, in any block size, in rows, tables and JSON", async () => {
  const options = { events: 3017, seed: 7 };
  const whole = inOrder(await rowsOf<NexmarkEvent>(nexmark({ ...options, splits: 1 })));
  expect(whole.length).toBe(3017);
  for (const splits of [2, 5, 49, 100]) {
    expect(inOrder(await rowsOf<NexmarkEvent>(nexmark({ ...options, splits })))).toEqual(whole);
  }
  const table = async (type: number, endpoint: { readonly source: Source }): Promise<void> => {
    const expected = whole.filter((event) => event.eventType === type).map((event) => ({ ...defined(event), eventType: type }));
    const got = await rowsOf<object>(endpoint);
    expect(inOrder(got.map((row) => ({ ...row, eventType: type })))).toEqual(inOrder(expected));
  };
  await table(0, nexmark({ ...options, table: "person" }));
  await table(1, nexmark({ ...options, table: "auction" }));
  await table(2, nexmark({ ...options, table: "bid", splits: 3 }));
  const records = await recordsOf({ ...options, splits: 1 });
  const flat = records.map((record) => {
    expect([record.person, record.auction, record.bid].filter((part) => part !== null).length).toBe(1);
    const part = { ...(record.person ?? record.auction ?? record.bid) } as Record<string, unknown>;
    for (const name of ["dateTime", "expires"]) if (name in part) part[name] = Date.parse(part[name] as string);
    return { eventType: record.event_type, ...part };
  });
  expect(inOrder(flat)).toEqual(inOrder(whole.map(defined)));
  expect(inOrder(await rowsOf<NexmarkEvent>(nexmark({ ...options, seed: 8 })))).not.toEqual(whole);
});

test("out of order, groups hold the same events in another order", async () => {
  const events = await rowsOf<NexmarkEvent>(nexmark({ events: 1000, splits: 1, outOfOrderGroupSize: 100 }));
  const straight = await rowsOf<NexmarkEvent>(nexmark({ events: 1000, splits: 1 }));
  const times = events.map((event) => event.dateTime);
  expect(times).not.toEqual(times.toSorted((a, b) => a - b));
  expect(inOrder(events)).toEqual(inOrder(straight));
  for (let group = 0; group < 10; group++) {
    const slice = events.slice(group * 100, group * 100 + 100).map((event) => event.dateTime);
    expect(Math.min(...slice)).toBe(Date.UTC(2015, 6, 15) + group * 10);
  }
});

test("a rate is kept by the clock, over all splits together", async () => {
  const clock = new ManualClock(1000);
  const { source } = nexmark({ eventsPerSecond: 1000, splits: 4 });
  expect(source.bounded).toBe(false);
  const reader = await source.openReader({ ...contractContext(), clock });
  reader.assign(await (await source.openEnumerator(contractContext())).discover(new Set()));
  let got = 0;
  const drain = (): void => {
    for (let block = reader.poll(100); block !== null; block = reader.poll(100)) got += block.kind === "rows" ? block.rows.size : 0;
  };
  drain();
  expect(got).toBe(0);
  for (let i = 0; i < 200; i++) {
    const ready = reader.ready();
    clock.advance(10);
    await ready;
    drain();
  }
  expect(got).toBeGreaterThan(1990);
  expect(got).toBeLessThanOrEqual(2000);
  await reader.close();
});

test("options and positions that cannot be are refused", async () => {
  const code = (options: object): string => {
    try {
      nexmark(options);
    } catch (error) {
      return isMillraceError(error) ? error.code : String(error);
    }
    return "none";
  };
  expect(code({ event: 5 })).toBe("OPTION_UNKNOWN");
  expect(code({ events: -1 })).toBe("OPTION_INVALID");
  expect(code({ events: 1.5 })).toBe("OPTION_INVALID");
  expect(code({ eventsPerSecond: 0 })).toBe("OPTION_INVALID");
  expect(code({ table: "bids" })).toBe("OPTION_INVALID");
  expect(code({ table: "bid", events: 1 })).toBe("none");
  const reader = await nexmark({ splits: 2 }).source.openReader(contractContext());
  expect(() => reader.assign([{ id: "nexmark-2", position: 0 }])).toThrow(expect.objectContaining({ code: "POSITION_INVALID" }));
  expect(() => reader.assign([{ id: "nexmark-0", position: "x" }])).toThrow(expect.objectContaining({ code: "POSITION_INVALID" }));
  expect([nexmarkPersonSchema, nexmarkAuctionSchema, nexmarkBidSchema].map((schema) => schema.fields.length)).toEqual([8, 10, 7]);
});
