// Decodes random documents and compares every record with the oracle: acceptance, code and values.
import { isDeepStrictEqual, inspect } from "node:util";
import { Rows } from "../../core/batch/batch.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import { rowView } from "../../core/batch/row-view.ts";
import type { Schema } from "../../core/schema/schema.ts";
import { JsonDecoder } from "./decoder.ts";
import { expectedRow } from "./oracle.suite.ts";
import { Random, randomDocument, randomSchema, randomStyle } from "./random-documents.suite.ts";

export interface CheckCounts {
  cases: number;
  good: number;
  unparsable: number;
  misfits: number;
}

/** Records at random places of a block, with other bytes between and behind them. */
export function blockOf(documents: readonly Uint8Array[], gap = 0, tail = 0): RawRecords {
  const count = documents.length;
  const valueStart = new Int32Array(count);
  const valueEnd = new Int32Array(count);
  const parts: Uint8Array[] = [];
  let at = 0;
  documents.forEach((document, index) => {
    parts.push(Buffer.alloc(gap, '"0'));
    valueStart[index] = at + gap;
    valueEnd[index] = at + gap + document.length;
    at = valueEnd[index] as number;
    parts.push(document);
  });
  parts.push(Buffer.alloc(tail, '"0,"a":1}'));
  return {
    splitId: "test-0",
    count,
    bytes: Buffer.concat(parts),
    keyStart: new Int32Array(count).fill(-1),
    keyEnd: new Int32Array(count),
    valueStart,
    valueEnd,
    timestampMs: Float64Array.from({ length: count }, (_, index) => index),
    position: Float64Array.from({ length: count }, (_, index) => index),
  };
}

/** A row of `rows` as an object without properties for missing fields. */
export function rowAt(rows: Rows, row: number): Record<string, unknown> {
  const view = rowView(rows.schema);
  view.point(rows, row);
  const shown: Record<string, unknown> = { ...(view as unknown as Record<string, unknown>) };
  return Object.fromEntries(Object.entries(shown).filter(([, value]) => value !== undefined));
}

function sameKey(spec: Schema["spec"], document: Uint8Array): boolean {
  // A document that gives one field under its name and an alias is outside of what the oracle can say.
  const text = Buffer.from(document).toString("utf8");
  return JSON.stringify(spec).includes('"aliases":["') && /ключ|名前|😀|a b|a\.b|price2|\\\\|\\u|""|x\\ty/.test(text);
}

/**
 * Checks about `cases` documents; throws on the first difference, naming how to repeat it. With `hot`, one schema in 20 sees its records
 * often enough for the engine to optimise the generated code before the results are compared.
 */
export function checkDecoder(cases: number, seed: number, hot: boolean, onProgress?: (counts: CheckCounts) => void): CheckCounts {
  const counts: CheckCounts = { cases: 0, good: 0, unparsable: 0, misfits: 0 };
  for (let round = 0; counts.cases < cases; round++) {
    const random = new Random(seed + round * 7919);
    const schema = randomSchema(random);
    const style = randomStyle(random);
    const decoder = new JsonDecoder(schema);
    decoder.want(schema.fields.filter(() => random.chance(0.5)).map((field) => field.index));
    const rows = new Rows(schema, 1 + random.below(64));
    const blocks = 1 + random.below(4);
    const warmUps = hot && round % 20 === 0 ? 300 : 0;
    for (let block = 0; block < blocks; block++) {
      const documents = Array.from({ length: 1 + random.below(120) }, () => randomDocument(random, schema.spec, style)).filter(
        (document) => !sameKey(schema.spec, document),
      );
      const records = blockOf(documents, random.below(3), random.pick([0, 3, 4000]));
      for (let i = 0; i < warmUps; i++) decoder.decode(records, rows, new Int32Array(records.count), () => {});
      checkBlock(schema, decoder, rows, records, documents, counts, `seed ${seed}, round ${round}, block ${block}`);
    }
    onProgress?.(counts);
  }
  return counts;
}

function checkBlock(
  schema: Schema,
  decoder: JsonDecoder,
  rows: Rows,
  records: RawRecords,
  documents: readonly Buffer[],
  counts: CheckCounts,
  where: string,
): void {
  const selection = new Int32Array(records.count);
  const bad = new Map<number, string>();
  const selected = decoder.decode(records, rows, selection, (index, code, reason) => {
    if (reason === "") throw new Error("a refusal without a reason");
    bad.set(index, code);
  });
  const good = new Set(selection.subarray(0, selected));
  documents.forEach((document, index) => {
    counts.cases++;
    const expected = expectedRow(schema.spec, document);
    const actual = good.has(index) ? { row: rowAt(rows, index) } : { code: bad.get(index) };
    if ("code" in expected) counts[expected.code === "RECORD_MISFIT" ? "misfits" : "unparsable"]++;
    else counts.good++;
    if (!isDeepStrictEqual(actual, expected)) {
      throw new Error(
        `${where}, record ${index}: expected ${inspect(expected, { depth: 9 })}, decoded ${inspect(actual, { depth: 9 })}\ndocument: ${document.toString("latin1")}\nschema: ${JSON.stringify(schema.spec)}`,
      );
    }
    if (good.has(index) === bad.has(index)) throw new Error(`${where}, record ${index}: both good and bad, or neither`);
  });
}
