// Answers a query from a standby's copy of a changelog: what is asked for is decoded into the tables of an operator that processes nothing.
import { ByteReader, ByteWriter } from "../../../base/bytes.ts";
import type { Clock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { keyGroupOf } from "../../../core/keys/key-batch.ts";
import type { OperatorContext } from "../../../core/operator/operator.ts";
import type { KeyedStateBackend } from "../../../core/ports/state-backend.ts";
import type { DataflowNode } from "../../../plan/dataflow.ts";
import { entryCursor, readEntryHead, writeEntryHead } from "../../../state/entry-codec.ts";
import { memoryBackend } from "../../../state/memory/memory-backend.ts";
import { OperatorStateRegistry } from "../../task/operator-state-registry.ts";
import { type ChangelogCopy, MemoryCopy, storedState } from "../changelog/changelog-copy.ts";
import { decodeEntry, decodeRecord, prefixOf, recordKind } from "../changelog/changelog-codec.ts";
import { type QueryTable, TaskStores } from "./queryable-state.ts";
import { keyOf, type KeyQuery, queryTable, type StoreRows } from "./store-query.ts";

/** A copy of the changelog of one operator of a task that runs elsewhere. */
export interface StandbyCopy {
  readonly topic: string;
  readonly records: ChangelogCopy;
  /** Records that the copy is behind, as far as it knows. */
  readonly lag: number;
}

export interface StandbyReadParts {
  readonly node: DataflowNode;
  readonly maxParallelism: number;
  readonly clock: Clock;
}

export interface CopyRows extends StoreRows {
  readonly lag: number;
}

/** `copyOf` is asked when the copy is read, in one go: it may be gone by then. Undefined without a copy, or such a table. */
export async function readCopy(
  copyOf: () => StandbyCopy | undefined,
  query: KeyQuery,
  parts: StandbyReadParts,
): Promise<CopyRows | "no copy" | "no table"> {
  const { node, maxParallelism, clock } = parts;
  if (node.body.kind !== "operator" || !node.body.keyed) return "no table";
  const stores = new TaskStores();
  const options = { uid: node.uid, keyGroups: { from: 0, to: maxParallelism }, maxParallelism, clock, directory: "" };
  const backend = await stores.remembering(memoryBackend()).open(options);
  const operator = node.body.create(idleContext(node.uid, backend, parts));
  try {
    const store = stores.find(node.uid, query.table);
    if (store === undefined) return "no table";
    const copy = copyOf();
    if (copy === undefined) return "no copy";
    const { topic, lag } = copy;
    const asked = new MemoryCopy();
    for (const [key, value] of copy.records.records(prefixOf(recordKind.spec))) asked.apply(key, value);
    for (const [key, value] of entriesOf(copy, store, query, maxParallelism)) asked.apply(key, value);
    await backend.restore(await storedState(topic, asked, () => Promise.resolve()));
    return { ...queryTable(store, query), lag };
  } finally {
    operator.close?.();
    await backend.close();
  }
}

type Entry = readonly [key: Uint8Array, value: Uint8Array];

function* entriesOf(
  { topic, records }: StandbyCopy,
  { form, spec }: QueryTable,
  query: KeyQuery,
  maxParallelism: number,
): Generator<Entry> {
  const keys = keyOf(spec.key, query.key);
  const key = new ByteWriter(64);
  keys.writeKey(0, key);
  const integerKey = spec.key.form === "integer";
  const at = new ByteWriter(128);
  at.raw(prefixOf(recordKind.entry, spec.name));
  at.u16(keyGroupOf(keys.hashes[0] as number, maxParallelism));
  if (form === "table" && query.kind === "get") {
    const identity = {
      integerKey,
      subKey: undefined,
      hashOf: () => keys.hashes[0] as number,
      namespaceOf: () => query.window ?? 0,
      keyLength: () => key.length,
      writeKey: (_slot: number, writer: ByteWriter) => keys.writeKey(0, writer),
      subKeyOf: () => 0,
    };
    // What the head of an entry without marks of its own is, is its identity.
    writeEntryHead(at, identity, 0, false, undefined);
    const value = records.get(at.view());
    if (value !== undefined) yield [at.copy(), value];
    return;
  }
  // Windows and several entries of a key lie apart: those of its key group are looked through.
  const cursor = entryCursor();
  for (const [recordKey, value] of records.records(at.view())) {
    const isAsked = decodeRecord(topic, recordKey, (reader) => {
      const entry = new ByteReader(value);
      entry.position = decodeEntry(reader, value).start;
      readEntryHead(entry, cursor, integerKey, undefined);
      return Buffer.compare(entry.buffer.subarray(cursor.keyStart, cursor.keyEnd), key.view()) === 0;
    });
    if (isAsked) yield [recordKey, value];
  }
}

// It gets no rows and no time, so it gives nothing.
function idleContext(uid: string, backend: KeyedStateBackend, { maxParallelism, clock }: StandbyReadParts): OperatorContext {
  return {
    uid,
    subtask: 0,
    parallelism: 1,
    maxParallelism,
    keyGroups: { from: 0, to: maxParallelism },
    clock,
    log: silentLog,
    metrics: { count: () => undefined, gauge: () => undefined },
    output: () => ({ emit: () => undefined }),
    keyed: backend.state,
    state: new OperatorStateRegistry(() => []),
    badRow: () => undefined,
    forwardWatermark: () => undefined,
    watermarkMs: () => Number.NEGATIVE_INFINITY,
    enqueue: () => undefined,
    pause: () => () => undefined,
  };
}
