// The contract of a source as checks: every connector's tests call `sourceContract`, and so can a connector outside of this package.
import assert from "node:assert/strict";
import { isMillraceError } from "../../base/errors.ts";
import type { Source, SourceSplit } from "../../core/ports/source.ts";
import { assertWhole, countSeen, discoverAll, Reading, type Seen, showAll, type SourceWorld, splitOf } from "./source-run.ts";
import { contractContext, pause, type RegisterTest, throughJson, within } from "./suite.ts";

export type { SourceWorld } from "./source-run.ts";

export interface SourceFixture {
  /** What is tested; starts the name of every check. */
  readonly name: string;
  /** Makes fresh input. Called once per check. */
  open(): Promise<SourceWorld>;
  /** Sources that cannot work: opening, discovering or reading them rejects with a `MillraceError` of this code. */
  readonly failures?: readonly { readonly name: string; readonly code: string; open(): Promise<Source> }[];
}

/**
 * Registers the checks of the source contract (see `Source`, `SplitEnumerator` and `SourceReader`).
 *
 *     import { test } from "node:test";
 *     sourceContract(test, { name: "queue", open: async () => makeWorld() });
 */
export function sourceContract(test: RegisterTest, fixture: SourceFixture): void {
  const check = (claim: string, run: (world: SourceWorld) => Promise<void>): void => {
    test(`${fixture.name}: ${claim}`, async () => {
      const world = await fixture.open();
      try {
        await run(world);
      } finally {
        await world.dispose();
      }
    });
  };
  describeChecks(check);
  discoveryChecks(check);
  readingChecks(check);
  positionChecks(check);
  lifeChecks(check);
  for (const failure of fixture.failures ?? []) {
    test(`${fixture.name}: ${failure.name} is a ${failure.code}`, () => assertFails(failure.open, failure.code));
  }
}

type Check = (claim: string, run: (world: SourceWorld) => Promise<void>) => void;

function describeChecks(check: Check): void {
  check("describes itself in plain JSON", async ({ source }) => {
    assert.ok(source.connector.length > 0, "the connector has no name");
    assert.deepEqual(throughJson(source.options), source.options, "options are not plain JSON");
  });
}

function discoveryChecks(check: Check): void {
  check("discovery gives each split once", async (world) => {
    const enumerator = await world.source.openEnumerator(contractContext());
    const splits = await enumerator.discover(new Set());
    const ids = splits.map((split) => split.id);
    assert.deepEqual([...ids].sort(), [...world.records.keys()].sort());
    assert.deepEqual(await enumerator.discover(new Set(ids)), []);
    const rest = await enumerator.discover(new Set(ids.slice(1)));
    assert.deepEqual(
      rest.map((split) => split.id),
      ids.slice(0, 1),
      "a split that is not known yet is found again",
    );
    await enumerator.close();
    await enumerator.close();
  });

  check("an enumerator that is restored finds nothing that is known", async (world) => {
    const first = await world.source.openEnumerator(contractContext());
    const ids = (await first.discover(new Set())).map((split) => split.id);
    const stored = first.snapshot?.();
    await first.close();
    const second = await world.source.openEnumerator(contractContext(), stored === undefined ? undefined : throughJson(stored));
    assert.deepEqual(await second.discover(new Set(ids)), []);
    assert.equal(second.intervalMs === Number.POSITIVE_INFINITY || !world.source.bounded, true, "a bounded source looks for splits once");
    assert.ok(second.intervalMs > 0);
    await second.close();
  });

  check("a new split is found and read", async (world) => {
    if (world.addSplit === undefined) return;
    const enumerator = await world.source.openEnumerator(contractContext());
    const splits = await enumerator.discover(new Set());
    const reading = await Reading.open(world, splits);
    await reading.readAll(3, countSeen(world.records));
    const added = await world.addSplit();
    const found = await enumerator.discover(new Set(splits.map((split) => split.id)));
    assert.deepEqual(
      found.map((split) => split.id),
      [added.id],
    );
    reading.assign(throughJson(found));
    const expected = new Map([...world.records, [added.id, added.records]]);
    await reading.readAll(3, countSeen(expected));
    assertWhole(reading.seen, expected, "after a split was added");
    await reading.close();
    await enumerator.close();
  });
}

function readingChecks(check: Check): void {
  for (const maxRecords of [1, 3, 4096]) {
    check(`gives every record once, in order, ${maxRecords} at a time`, async (world) => {
      const reading = await Reading.open(world, await discoverAll(world));
      await reading.readAll(maxRecords, countSeen(world.records));
      assertWhole(reading.seen, world.records, "read whole");
      if (world.source.bounded) {
        assert.deepEqual([...reading.finished].sort(), [...world.records.keys()].sort(), "each split is reported as finished");
        assert.deepEqual(reading.reader.takeFinished(), [], "and only once");
      }
      await reading.close();
    });
  }

  check("gives raw records or rows as its schema says", async (world) => {
    const reading = await Reading.open(world, await discoverAll(world));
    let batch = reading.poll(2);
    while (batch === undefined) {
      await within(reading.reader.ready(), "ready() of the reader");
      batch = reading.poll(2);
    }
    assert.equal(batch.kind, world.source.schema === undefined ? "raw" : "rows");
    if (batch.kind === "rows") assert.equal(batch.rows.schema, world.source.schema);
    await reading.close();
  });

  check("a block stays valid until the next poll", async (world) => {
    const reading = await Reading.open(world, await discoverAll(world));
    const total = countSeen(world.records);
    while (countSeen(reading.seen) < total) {
      const batch = reading.poll(2);
      if (batch === undefined) {
        await within(reading.reader.ready(), "ready() of the reader");
        continue;
      }
      const before = showAll(world, batch);
      await pause(2);
      reading.reader.snapshot();
      reading.reader.lag();
      assert.deepEqual(showAll(world, batch), before, `the block of ${splitOf(batch)} changed before the next poll`);
    }
    await reading.close();
  });

  check("splits assigned later, and to two readers, are read", async (world) => {
    const splits = await discoverAll(world);
    const seen: Seen = new Map();
    const one = await Reading.open(world, splits.slice(0, 1), seen, 0);
    const first = splits[0] as SourceSplit;
    const others = new Map([...world.records].filter(([id]) => id !== first.id));
    await one.readAll(2, (world.records.get(first.id) ?? []).length);
    one.assign([]);
    const two = await Reading.open(world, splits.slice(1, 2), new Map(), 1);
    two.assign(splits.slice(2));
    await two.readAll(2, countSeen(others));
    assertWhole(two.seen, others, "the second reader");
    assertWhole(seen, new Map([[first.id, world.records.get(first.id) ?? []]]), "the first reader");
    await one.close();
    await two.close();
  });

  check("a paused split gives nothing, the others go on, and it resumes", async (world) => {
    const splits = await discoverAll(world);
    const still = (splits[0] as SourceSplit).id;
    const others = new Map([...world.records].filter(([id]) => id !== still));
    const reading = await Reading.open(world, splits);
    await reading.read(2, 1, countSeen(world.records));
    reading.reader.setPaused(still, true);
    const had = [...(reading.seen.get(still) ?? [])];
    for (let i = 0; countSeen(reading.seen) < countSeen(others) + had.length; i++) {
      assert.ok(i < 10_000, "the splits that are not paused were not read to their end");
      if (reading.poll(2) === undefined) await pause(2);
    }
    await pause(10);
    reading.poll(2);
    assert.deepEqual(reading.seen.get(still) ?? [], had, "records of a paused split came");
    reading.reader.setPaused(still, false);
    await reading.readAll(2, countSeen(world.records));
    assertWhole(reading.seen, world.records, "after it was resumed");
    await reading.close();
  });

  check("lag counts what is left, where it is known", async (world) => {
    const reading = await Reading.open(world, await discoverAll(world));
    for (const records of [0, 3, countSeen(world.records)]) {
      while (countSeen(reading.seen) < records)
        if (reading.poll(1) === undefined) await within(reading.reader.ready(), "ready() of the reader");
      for (const [id, left] of reading.reader.lag() ?? []) {
        assert.ok(Number.isFinite(left) && left >= 0, `the lag of ${id} is ${left}`);
        if (records === countSeen(world.records)) assert.equal(left, 0, `${id} was read to its end`);
      }
    }
    await reading.close();
  });

  check("records that are added later wake the reader", async (world) => {
    if (world.addRecords === undefined) return;
    const splits = await discoverAll(world);
    const id = (splits[0] as SourceSplit).id;
    const reading = await Reading.open(world, splits);
    await reading.readAll(5, countSeen(world.records));
    const added = await world.addRecords(id);
    const expected = new Map([...world.records].map(([split, list]) => [split, split === id ? [...list, ...added] : list]));
    await reading.readAll(5, countSeen(expected));
    assertWhole(reading.seen, expected, "after records were added");
    await reading.close();
  });
}

function positionChecks(check: Check): void {
  for (const maxRecords of [1, 3]) {
    check(`resumes exactly at every cut, ${maxRecords} at a time`, async (world) => {
      const splits = await discoverAll(world);
      const total = countSeen(world.records);
      for (let cut = 0; ; cut++) {
        const seen: Seen = new Map();
        const before = await Reading.open(world, splits, seen);
        await before.read(maxRecords, cut, total);
        const stored = before.snapshot();
        assert.deepEqual(before.snapshot(), stored, "a second look gives other positions");
        await before.close();
        const ended = countSeen(seen) >= total;
        const after = await Reading.open(world, stored, seen);
        await after.readAll(maxRecords, total);
        assertWhole(seen, world.records, `cut after ${cut} blocks`);
        await after.close();
        if (ended) break;
      }
    });
  }

  check("resumes when it is stopped after every block", async (world) => {
    const total = countSeen(world.records);
    const seen: Seen = new Map();
    let splits = await discoverAll(world);
    while (countSeen(seen) < total) {
      const reading = await Reading.open(world, splits, seen);
      await reading.read(2, 1, total);
      splits = reading.snapshot();
      await reading.close();
    }
    assertWhole(seen, world.records, "stopped after every block");
  });

  check("positions name every split that is assigned and not finished", async (world) => {
    const splits = await discoverAll(world);
    const reading = await Reading.open(world, splits);
    const ids = (): readonly string[] => reading.snapshot().map((split) => split.id);
    assert.deepEqual([...ids()].sort(), splits.map((split) => split.id).sort(), "before anything was read");
    await reading.read(1, 3, countSeen(world.records));
    for (const split of splits) assert.ok(reading.finished.includes(split.id) || ids().includes(split.id), `${split.id} is missing`);
    assert.equal(new Set(ids()).size, ids().length, "a split is there twice");
    await reading.close();
  });

  check("a split that is resumed at its end gives nothing and finishes again", async (world) => {
    const reading = await Reading.open(world, await discoverAll(world));
    await reading.readAll(4, countSeen(world.records));
    const stored = reading.snapshot();
    await reading.close();
    const again = await Reading.open(world, stored);
    await again.readAll(4, 0);
    assert.equal(countSeen(again.seen), 0, "records came twice");
    if (world.source.bounded) assert.equal(again.finished.length, stored.length);
    await again.close();
  });
}

function lifeChecks(check: Check): void {
  check("close is idempotent, also in the middle of reading and with a waiter", async (world) => {
    const splits = await discoverAll(world);
    const reading = await Reading.open(world, splits);
    await reading.read(1, 1, 1);
    const waiting = reading.reader.ready().catch(() => {});
    await reading.close();
    await reading.close();
    await within(waiting, "the end of ready() after close()");
    const idle = await Reading.open(world, []);
    const forever = idle.reader.ready().catch(() => {});
    await idle.close();
    await within(forever, "the end of ready() after close()");
  });

  check("a completed checkpoint may be told", async (world) => {
    const reading = await Reading.open(world, await discoverAll(world));
    await reading.read(2, 2, countSeen(world.records));
    await reading.reader.checkpointCompleted?.(reading.snapshot());
    await reading.readAll(2, countSeen(world.records));
    assertWhole(reading.seen, world.records, "after a checkpoint");
    await reading.close();
  });
}

async function assertFails(open: () => Promise<Source>, code: string): Promise<void> {
  const attempt = async (): Promise<void> => {
    const source = await open();
    const enumerator = await source.openEnumerator(contractContext());
    try {
      const splits = await enumerator.discover(new Set());
      const reader = await source.openReader(contractContext());
      try {
        reader.assign(splits);
        const finished = new Set<string>();
        while (finished.size < splits.length) {
          if (reader.poll(100) === null) await within(reader.ready(), "a failure of the reader");
          for (const id of reader.takeFinished()) finished.add(id);
        }
      } finally {
        await reader.close();
      }
    } finally {
      await enumerator.close();
    }
  };
  await assert.rejects(attempt, (error) => {
    assert.ok(isMillraceError(error), `not a MillraceError: ${String(error)}`);
    assert.equal(error.code, code, error.message);
    assert.ok(error.subject.length > 0 && error.next.length > 0, "it names no subject or no next step");
    return true;
  });
}
