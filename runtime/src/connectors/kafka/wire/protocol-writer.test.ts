// Every kind of field is read back as it was written, wherever in the writer's buffer it begins: also where it makes the buffer grow.
import { expect, test } from "vitest";
import { ProtocolReader } from "./protocol-reader.ts";
import { ProtocolWriter } from "./protocol-writer.ts";

const text = "x".repeat(200);
const bytes = Buffer.alloc(20_000, 7);

const fields: readonly (readonly [
  name: string,
  write: (writer: ProtocolWriter) => void,
  read: (reader: ProtocolReader) => unknown,
  value: unknown,
])[] = [
  ["a boolean", (writer) => writer.bool(true), (reader) => reader.bool(), true],
  ["8 bits", (writer) => writer.i8(-5), (reader) => reader.i8(), -5],
  ["16 bits", (writer) => writer.i16(-1234), (reader) => reader.i16(), -1234],
  ["32 bits", (writer) => writer.i32(-123_456_789), (reader) => reader.i32(), -123_456_789],
  ["64 bits", (writer) => writer.i64(2 ** 52 + 1), (reader) => reader.i64(), 2 ** 52 + 1],
  ["a varint of one byte", (writer) => writer.uvarint(127), (reader) => reader.uvarint(), 127],
  ["a varint of two bytes", (writer) => writer.uvarint(300), (reader) => reader.uvarint(), 300],
  ["a varint of five bytes", (writer) => writer.uvarint(2 ** 31 - 1), (reader) => reader.uvarint(), 2 ** 31 - 1],
  ["a long text", (writer) => writer.string(text), (reader) => reader.string(), text],
  ["no text", (writer) => writer.string(null), (reader) => reader.nullableString(), null],
  ["many bytes", (writer) => writer.bytes(bytes), (reader) => reader.bytes(), bytes],
  [
    "a long array",
    (writer) => writer.array([...bytes.subarray(0, 300)], (each) => writer.i8(each)),
    (reader) => reader.array(() => reader.i8()).length,
    300,
  ],
];

for (const flexible of [false, true]) {
  test.each(fields)(`%s, ${flexible ? "flexible" : "plain"}, at every place`, (_name, write, read, value) => {
    for (let before = 0; before <= 40; before++) {
      // Memory that was in use: what is not written is noticed.
      const writer = new ProtocolWriter(flexible, 16);
      writer.raw(bytes.subarray(0, before));
      write(writer);
      const reader = new ProtocolReader(writer.view(), flexible, before);
      expect(read(reader), `behind ${before} bytes`).toEqual(value);
      expect(reader.remaining, `behind ${before} bytes`).toBe(0);
    }
  });
}
