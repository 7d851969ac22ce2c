// Decodes Avro and Protobuf records, whole and damaged.
//
// Whole records give the rows that were written. Damaged ones are bad records or rows: a decoder never throws, takes little memory, and
// where an independent library (avsc, protobufjs) reads the damaged record too, both read the same.
import { inspect, isDeepStrictEqual } from "node:util";
import avsc from "avsc";
import protobufjs from "protobufjs";
import { ByteWriter } from "../base/bytes.ts";
import { Rows } from "../core/batch/batch.ts";
import { rowWriter } from "../core/batch/rows-builder.ts";
import type { Format, RecordDecoder, RecordEncoder } from "../core/ports/format.ts";
import { boolean, float64, int32, list, mapOf, string, struct } from "../core/schema/field.ts";
import { schema } from "../core/schema/schema.ts";
import { avroSchemaOf } from "./avro/avro-schema-of.ts";
import { avro } from "./avro/avro.ts";
import { blockOf, rowAt } from "./json/decoder-check.suite.ts";
import { protoSchemaOf } from "./protobuf/proto-schema-of.ts";
import { protobuf } from "./protobuf/protobuf.ts";
import { damaged, damages, MemoryWatch, Random } from "../base/damage.suite.ts";

const shape = schema({
  id: int32(),
  name: string(),
  score: float64(),
  good: boolean(),
  tags: list(string()),
  counts: list(int32()),
  byName: mapOf(int32()),
  place: struct({ x: float64(), label: string(), deep: list(int32()) }),
});
const mostGrownBytes = 384 * 2 ** 20;

function randomRow(random: Random): Record<string, unknown> {
  const number = (): number => random.pick([0, -1, 1, 127, -128, 2 ** 31 - 1, -(2 ** 31), random.next() | 0]);
  const text = (): string =>
    random.pick(["", "a", "é", "名前", "😀", "plain words", "x".repeat(random.below(300)), random.bytes(12).toString("hex")]);
  const many = <T>(make: () => T): T[] => Array.from({ length: random.pick([0, 1, 2, random.below(40)]) }, make);
  const double = (): number => random.pick([0, 1.5, -2.25, 1e300, 5e-324, random.next() / 7]);

  return {
    id: number(),
    name: text(),
    score: double(),
    good: random.below(2) === 0,
    tags: many(text),
    counts: many(number),
    byName: new Map(many(() => [text(), number()] as const)),
    place: { x: double(), label: text(), deep: many(number) },
  };
}

interface Tested {
  readonly name: string;
  readonly encoder: RecordEncoder;
  readonly decoder: RecordDecoder;
  /** What the library reads; throws where it refuses. */
  readonly library: (bytes: Buffer) => Record<string, unknown>;
}

async function tested(name: string, format: Format<unknown>, library: Tested["library"]): Promise<Tested> {
  return { name, encoder: await format.openEncoder(shape), decoder: await format.openDecoder(), library };
}

const toMap = (value: object): Map<string, unknown> => new Map(Object.entries(value));
const proto = protoSchemaOf(shape);
const root = protobufjs.parse(proto, new protobufjs.Root(), { keepCase: true }).root;
const message = root.lookupType("Row");
const avroType = avsc.Type.forSchema(avroSchemaOf(shape) as avsc.Schema);
const openFormats = async (): Promise<readonly Tested[]> => [
  await tested("avro", avro(shape), (bytes) => {
    const read = avroType.fromBuffer(bytes) as Record<string, unknown>;
    return { ...read, byName: toMap(read["byName"] as object), place: { ...(read["place"] as object) } };
  }),
  await tested("protobuf", protobuf(shape, { proto }), (bytes) => {
    const read = message.toObject(message.decode(bytes), { defaults: true, arrays: true, objects: true });
    const place = (read["place"] ?? undefined) as object | undefined;
    return { ...read, byName: toMap(read["byName"] as object), ...(place === undefined ? {} : { place }) };
  }),
];

const writeRow = rowWriter(shape);

function encode({ encoder }: Tested, row: Record<string, unknown>): Buffer {
  const one = new Rows(shape, 1);
  one.ready.fill(1);
  writeRow(one, 0, row);
  const writer = new ByteWriter(1);
  encoder.encode(one, 0, writer);
  return Buffer.from(writer.copy());
}

function decode({ decoder }: Tested, rows: Rows, bytes: Buffer, tail: number): Record<string, unknown> | undefined {
  const records = blockOf([bytes], 2, tail);
  let bad = 0;
  const count = decoder.decode(records, rows, new Int32Array(2), () => bad++);
  if (count + bad !== 1) throw new Error(`${count} rows and ${bad} bad records out of one`);
  return count === 1 ? rowAt(rows, 0) : undefined;
}

// Text that is not UTF-8, and keys that objects treat specially: the libraries read them in their own way.
const isOdd = (value: unknown): boolean =>
  inspect(value, { depth: 9, maxStringLength: null, maxArrayLength: null }).includes("\uFFFD") ||
  JSON.stringify(value).includes("__proto__");

/** What became of the records. */
export interface BinaryCounts {
  readonly cases: number;
  readonly whole: number;
  readonly refused: number;
  /** Damaged, and read by us and by the library alike. */
  readonly both: number;
  readonly onlyOurs: number;
  readonly grownBytes: number;
}

/** Checks `cases` records; throws on the first that is read wrongly, naming how to repeat it. */
export async function checkBinaryFormats(cases: number, seed: number): Promise<BinaryCounts> {
  const random = new Random(seed);
  const formats = await openFormats();
  const rows = new Rows(shape, 1);
  const memory = new MemoryWatch(mostGrownBytes);
  const counts = { whole: 0, refused: 0, both: 0, onlyOurs: 0 };
  for (let done = 0; done < cases; ) {
    const format = random.pick(formats);
    const row = randomRow(random);
    const good = encode(format, row);
    for (let variant = 0; variant < 10; variant++, done++) {
      const damage = random.pick(damages);
      const bytes = damaged(random, good, damage);
      const where = `seed ${seed}, case ${done}, ${format.name}, ${damage}`;
      let read: ReturnType<typeof decode>;
      try {
        read = decode(format, rows, bytes, random.below(20));
      } catch (cause) {
        throw new Error(`${where}: ${bytes.toString("hex")}`, { cause });
      }
      if (damage === "none") {
        if (!isDeepStrictEqual(read, row)) throw new Error(`${where}: ${inspect(read, { depth: 9 })} is not ${inspect(row, { depth: 9 })}`);
        counts.whole++;
      } else if (read === undefined) counts.refused++;
      else {
        let theirs: Record<string, unknown> | undefined;
        try {
          theirs = format.library(bytes);
        } catch {
          counts.onlyOurs++;
        }
        if (theirs === undefined) continue;
        counts.both++;
        if (!isOdd(theirs) && !isDeepStrictEqual({ ...read }, { ...theirs }))
          throw new Error(
            `${where}: read ${inspect(read, { depth: 9 })}, the library ${inspect(theirs, { depth: 9 })}: ${bytes.toString("hex")}`,
          );
      }
    }
    if (done % 5000 === 0) memory.look(`seed ${seed}, case ${done}`);
  }
  return { cases, ...counts, grownBytes: memory.greatestBytes };
}
