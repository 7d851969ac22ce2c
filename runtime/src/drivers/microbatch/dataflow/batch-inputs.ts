// The sources of a dataflow as a driver of batches has them: the same dataflow, whose readers give what was planned and no more.
import type { Clock } from "../../../base/clock.ts";
import { MillraceError } from "../../../base/errors.ts";
import type { Source, SplitEnumerator } from "../../../core/ports/source.ts";
import type { Dataflow, DataflowNode } from "../../../plan/dataflow.ts";
import type { SourceRange } from "../log/batch-log.ts";
import { BatchReader, type Filled, type FillLimits, type SplitEnds } from "./batch-reader.ts";

/** What a batch is to have, by source. */
export interface InputBatch {
  readonly ranges: ReadonlyMap<string, SourceRange>;
  readonly records: number;
  /** It was closed by its limit of bytes: more may be there. */
  readonly full: boolean;
}

interface Input {
  readonly uid: string;
  readonly source: Source;
  readonly readers: BatchReader[];
  enumerator: SplitEnumerator | undefined;
}

export class BatchInputs {
  /** With sources whose readers are held to batches. */
  readonly dataflow: Dataflow;
  readonly #inputs = new Map<string, Input>();
  readonly #clock: Clock;
  readonly #bounded: boolean;
  readonly #watched = new Set<BatchReader>();
  /** Why a source can give nothing any more. */
  failure: { readonly error: unknown } | undefined;

  /** `bounded`: the run ends with what is there at its start. */
  constructor(dataflow: Dataflow, clock: Clock, bounded: boolean) {
    this.#clock = clock;
    this.#bounded = bounded;
    const nodes: DataflowNode[] = [];
    for (const node of dataflow.nodes) {
      const inputs = node.inputs.map((input) => ({ ...input, from: nodes[input.from.id] as DataflowNode }));
      const body = node.body.kind === "source" ? { ...node.body, source: this.#held(node.uid, node.body.source) } : node.body;
      nodes.push({ ...node, inputs, body });
    }
    this.dataflow = { name: dataflow.name, nodes };
  }

  #held(uid: string, source: Source): Source {
    const input: Input = { uid, source, readers: [], enumerator: undefined };
    this.#inputs.set(uid, input);
    const { connector, options, bounded, inTimeOrder, schema } = source;
    return {
      ...{ connector, options, bounded },
      ...(inTimeOrder === undefined ? {} : { inTimeOrder }),
      ...(schema === undefined ? {} : { schema }),
      openEnumerator: async (context, restored) => {
        const enumerator = await source.openEnumerator(context, restored);
        input.enumerator = enumerator;
        return this.#bounded ? lookingOnce(enumerator) : enumerator;
      },
      openReader: async (context) => {
        const open = () => source.openReader(context);
        const reader = await BatchReader.open({ uid, clock: this.#clock, open, bounded: this.#bounded, ends: () => this.#ends(input) });
        input.readers.push(reader);
        return reader;
      },
    };
  }

  // Only for splits that go on for ever in a run that does not.
  #ends({ source, enumerator }: Input): SplitEnds | undefined {
    if (!this.#bounded || source.bounded || enumerator?.withEnds === undefined) return undefined;
    return {
      set: async (splits) => (await enumerator.withEnds?.(splits)) ?? splits,
      clear: (splits) => enumerator.withoutEnds?.(splits) ?? splits,
    };
  }

  get #readers(): readonly BatchReader[] {
    return [...this.#inputs.values()].flatMap(({ readers }) => readers);
  }

  /** Everything that was planned has been given. */
  get isDrained(): boolean {
    return this.#readers.every((reader) => reader.isDrained);
  }

  /** No rows are left to be given. */
  get hasNoBlocks(): boolean {
    return this.#readers.every((reader) => !reader.hasBlocks);
  }

  /** The source has ended by itself, and no split of it will come any more. */
  isComplete(uid: string): boolean {
    const input = this.#inputs.get(uid);
    if (input?.enumerator === undefined || this.#ends(input) !== undefined) return false;
    return input.enumerator.intervalMs === Infinity && input.readers.every(({ open, isDrained }) => open === 0 && isDrained);
  }

  /** No batch will have records any more: all sources have ended, or in a run that is bounded what was there is read. */
  get exhausted(): boolean {
    return [...this.#inputs.values()].every(
      ({ uid, readers }) => this.isComplete(uid) || (this.#bounded && readers.every((reader) => reader.caughtUp)),
    );
  }

  /** Reads the next batch, within limits that are shared out in proportion to what waits. */
  async readBatch({ maxRecords, maxBytes, maxMs }: FillLimits): Promise<InputBatch> {
    const readers = this.#readers;
    await Promise.all(readers.map((reader) => reader.prepare(maxMs)));
    const lags = readers.map(lagOf);
    const known = lags.reduce<number>((sum, lag) => sum + (lag ?? 0), 0);
    const limits = (index: number): FillLimits => {
      const lag = lags[index];
      const share = lag === undefined || known === 0 ? 1 : Math.max(lag, 1) / known;
      const own = known > maxRecords ? Math.max(1, Math.ceil(maxRecords * share)) : maxRecords;
      return { maxRecords: Math.min(own, maxRecords), maxBytes: Math.max(1, maxBytes / readers.length), maxMs };
    };
    const filled = await Promise.all(readers.map((reader, index) => reader.readBatch(limits(index))));
    const records = filled.reduce((sum, each) => sum + each.records, 0);
    return { ranges: this.#ranges(filled), records, full: filled.some(({ full }) => full) };
  }

  #ranges(filled: readonly Filled[]): ReadonlyMap<string, SourceRange> {
    const ranges = new Map<string, SourceRange>();
    for (const [index, { uid }] of this.#readers.entries()) {
      const own = (filled[index] as Filled).range;
      const before = ranges.get(uid);
      ranges.set(
        uid,
        before === undefined
          ? own
          : { from: [...before.from, ...own.from], to: [...before.to, ...own.to], counts: { ...before.counts, ...own.counts } },
      );
    }
    return ranges;
  }

  /** Reads again what an earlier run had planned. */
  async replay(ranges: Readonly<Record<string, SourceRange>>): Promise<InputBatch> {
    let records = 0;
    for (const [uid, range] of Object.entries(ranges)) {
      const readers = this.#inputs.get(uid)?.readers ?? [];
      const found = new Set((await Promise.all(readers.map((reader) => reader.replay(range)))).flat());
      for (const [splitId, count] of Object.entries(range.counts)) {
        records += count;
        if (count > 0 && !found.has(splitId)) throw splitGone(uid, splitId, count);
      }
    }
    return { ranges: new Map(Object.entries(ranges)), records, full: false };
  }

  /** Calls `wake` when a source may have something: one pending promise for each reader, so that asking again piles none up. */
  watch(wake: () => void): void {
    for (const reader of this.#readers) {
      if (this.#watched.has(reader) || reader.open === 0) continue;
      this.#watched.add(reader);
      reader.available().then(
        () => {
          this.#watched.delete(reader);
          wake();
        },
        (error: unknown) => {
          this.failure ??= { error };
          wake();
        },
      );
    }
  }

  /** Splits of the instance's source of which rows are at hand. */
  waitingSplits(reader: object): ReadonlySet<string> {
    return reader instanceof BatchReader ? reader.waitingSplits() : new Set();
  }

  /** Records that are there and are not part of a batch yet; undefined where the connector does not know. */
  lag(uid: string): number | undefined {
    const lags = (this.#inputs.get(uid)?.readers ?? []).map(lagOf);
    return lags.includes(undefined) ? undefined : lags.reduce<number>((sum, lag) => sum + (lag ?? 0), 0);
  }
}

function lagOf(reader: BatchReader): number | undefined {
  const lags = reader.lag();
  return lags === undefined ? undefined : [...lags.values()].reduce((sum, lag) => sum + lag, 0);
}

// A run that ends with what is there looks for splits at its start alone.
function lookingOnce(enumerator: SplitEnumerator): SplitEnumerator {
  const { snapshot } = enumerator;
  return {
    discover: (known) => enumerator.discover(known),
    intervalMs: Infinity,
    ...(snapshot === undefined ? {} : { snapshot: () => snapshot.call(enumerator) }),
    close: () => enumerator.close(),
  };
}

function splitGone(uid: string, splitId: string, count: number): MillraceError {
  return new MillraceError(
    "BATCH_INPUT_CHANGED",
    `source "${uid}", ${splitId}`,
    `the batch that is run again had ${count} records of it, and it is not there any more`,
    "restore the input, or start the job from a savepoint with another checkpoint location",
  );
}
