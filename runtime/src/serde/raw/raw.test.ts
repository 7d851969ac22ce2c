// Raw and text formats: keys, values and timestamps as they are, copies where they are kept, and what cannot be text.
import { describe, expect, it } from "vitest";
import { ByteWriter } from "../../base/bytes.ts";
import { Rows, noTime } from "../../core/batch/batch.ts";
import type { RawRecords } from "../../core/batch/raw-records.ts";
import { rowWriter } from "../../core/batch/rows-builder.ts";
import type { Format } from "../../core/ports/format.ts";
import { bytes, int32, string } from "../../core/schema/field.ts";
import { type Schema, schema } from "../../core/schema/schema.ts";
import { blockOf, rowAt } from "../json/decoder-check.suite.ts";
import { raw } from "./raw.ts";
import { text } from "./text.ts";

async function decode(format: Format<unknown>, records: RawRecords): Promise<{ rows: Rows; selected: number[]; bad: string[] }> {
  const decoder = await format.openDecoder();
  const rows = new Rows(format.schema, 2);
  const selection = new Int32Array(records.count);
  const bad: string[] = [];
  const count = decoder.decode(records, rows, selection, (index, code, reason) => bad.push(`${index} ${code} ${reason}`));
  return { rows, selected: [...selection.subarray(0, count)], bad };
}

async function encode(format: Format<unknown>, shape: Schema, row: unknown): Promise<string | null> {
  const rows = new Rows(shape, 1);
  rows.ready.fill(1);
  rowWriter(shape)(rows, 0, row);
  const writer = new ByteWriter(1);
  const encoder = await format.openEncoder(shape);
  return encoder.encode(rows, 0, writer) ? writer.copy().toString("latin1") : null;
}

describe("raw format", () => {
  it("gives key, value and timestamp, and copies that outlive the block", async () => {
    const block = blockOf([Buffer.from("k1"), Buffer.from([0, 255]), Buffer.from("")]);
    const records: RawRecords = {
      ...block,
      keyStart: Int32Array.of(0, -1, 0),
      keyEnd: Int32Array.of(2, -1, 0),
      valueStart: Int32Array.of(2, -1, 0),
      valueEnd: Int32Array.of(4, -1, 0),
      timestampMs: Float64Array.of(5, Number.NaN, 7),
    };
    const { rows, selected } = await decode(raw(), records);
    expect(selected).toEqual([0, 1, 2]);
    const [first, second, third] = selected.map((row) => rowAt(rows, row));
    block.bytes.fill(1);
    expect(first).toEqual({ key: new Uint8Array(Buffer.from("k1")), value: Uint8Array.of(0, 255), timestamp: 5 });
    expect(second).toEqual({ key: null, value: null, timestamp: null });
    expect(third).toEqual({ key: new Uint8Array(), value: new Uint8Array(), timestamp: 7 });
    expect([...rows.times.subarray(0, 3)]).toEqual([5, noTime, 7]);
  });

  it("writes the field value, and a tombstone for null", async () => {
    expect(await encode(raw(), schema({ id: int32(), value: bytes().nullable() }), { id: 1, value: Uint8Array.of(1, 200) })).toBe(
      "\x01\xc8",
    );
    expect(await encode(raw(), schema({ value: bytes().nullable() }), { value: null })).toBeNull();
    expect(await encode(raw(), schema({ value: string() }), { value: "é" })).toBe("\xc3\xa9");
    await expect(encode(raw(), schema({ value: int32() }), { value: 1 })).rejects.toThrow(/format raw: the rows have no field "value"/);
  });
});

describe("text format", () => {
  it("gives each record's text, and refuses what is not UTF-8", async () => {
    const documents = [Buffer.from("plain"), Buffer.from("漢字 \0"), Buffer.from([0xff]), Buffer.from("")];
    const records = {
      ...blockOf([...documents, Buffer.from("x")], 1),
      valueStart: Int32Array.of(1, 7, 16, 18, -1),
      valueEnd: Int32Array.of(6, 15, 17, 18, -1),
    };
    const { rows, selected, bad } = await decode(text(), records);
    expect(selected.map((row) => rowAt(rows, row))).toEqual([{ value: "plain" }, { value: "漢字 \0" }, { value: "" }]);
    expect(bad).toEqual(["2 RECORD_UNPARSABLE the record is not UTF-8", "4 RECORD_UNPARSABLE the record has no value"]);
  });

  it("writes the field value, or the only text field", async () => {
    expect(await encode(text(), schema({ id: int32(), value: string() }), { id: 1, value: "a" })).toBe("a");
    expect(await encode(text(), schema({ line: string().nullable() }), { line: "b" })).toBe("b");
    expect(await encode(text(), schema({ line: string().nullable() }), { line: null })).toBeNull();
    await expect(encode(text(), schema({ a: string(), b: string() }), { a: "", b: "" })).rejects.toThrow(/no text field "value"/);
  });
});
