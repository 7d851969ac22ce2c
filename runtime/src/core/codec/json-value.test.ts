// The JSON form of values: what it looks like, and that it gives the value back.
import * as fc from "fast-check";
import { describe, expect, it } from "vitest";
import { bytes, date, decimal, float64, int32, int64, list, mapOf, string, struct, timestamp, timestampNanos } from "../schema/field.ts";
import { Decimal } from "../schema/decimal.ts";
import { schema } from "../schema/schema.ts";
import { instantText, parseDay, parseInstant } from "./iso-time.ts";
import { fromJson, rowFromJson, rowToJson, toJson } from "./json-value.ts";
import { randomRows } from "./random-rows.suite.ts";

describe("JSON form", () => {
  it("is what a person would write", () => {
    const cases: readonly (readonly [{ readonly spec: Parameters<typeof toJson>[0] }, unknown, unknown])[] = [
      [int64(), 5n, 5],
      [int64(), 2n ** 63n - 1n, "9223372036854775807"],
      [decimal(10, 2), Decimal.parse("1.50"), "1.50"],
      [bytes(), Uint8Array.of(0, 255), "AP8="],
      [timestamp({ text: "iso" }), 1_700_000_000_123, "2023-11-14T22:13:20.123Z"],
      [timestamp({ unit: "s", text: "iso" }), -1, "1969-12-31T23:59:59Z"],
      [timestamp({ unit: "us", text: "iso" }), -1, "1969-12-31T23:59:59.999999Z"],
      [timestamp(), 1_700_000_000_123, 1_700_000_000_123],
      [timestampNanos(), 1_700_000_000_123_456_789n, "1700000000123456789"],
      [date(), 19_723, "2024-01-01"],
      [float64(), Number.NaN, "NaN"],
      [mapOf(int32()), new Map([["a", 1]]), { a: 1 }],
      [struct({ a: int32(), b: string().optional() }), { a: 1 }, { a: 1 }],
    ];
    for (const [{ spec }, value, json] of cases) {
      expect(toJson(spec, value)).toEqual(json);
      expect(fromJson("f", spec, json)).toEqual(value);
    }
  });

  it("gives every row back, through text", () => {
    const noAny = (type: { readonly kind: string }): boolean => !JSON.stringify(type).includes('"any"');
    fc.assert(
      fc.property(
        randomRows().filter(({ schema: shape }) => shape.fields.every((field) => noAny(field.spec.type))),
        ({ schema: shape, rows }) => {
          for (const row of rows) {
            const text = JSON.stringify(rowToJson(shape.spec, row));
            expect(normal(rowFromJson(shape, JSON.parse(text)))).toStrictEqual(normal(row));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it("refuses what is not of the type, with the field's name", () => {
    const shape = schema({ a: list(int32()), b: int64().default(7n) });
    expect(rowFromJson(shape, { a: [1] })).toEqual({ a: [1], b: 7n });
    expect(() => rowFromJson(shape, { a: [1, "2"] })).toThrow(/field "a\[\]": "2" is not a int32/);
    expect(() => rowFromJson(shape, {})).toThrow(/field "a": is missing/);
    expect(() => fromJson("n", int64().spec, "1e3")).toThrow(/is not a int64/);
    expect(() => fromJson("n", int64().spec, "9223372036854775808")).toThrow(/is not a int64/);
    expect(() => fromJson("n", bytes().spec, "not base64")).toThrow(/is not a bytes/);
    expect(() => fromJson("n", decimal(5, 1).spec, "1.25")).toThrow(/is not a decimal/);
  });
});

// -0 is 0 in JSON text, and undefined elements of lists are null there: both are equal for this purpose.
function normal(value: unknown): unknown {
  if (Object.is(value, -0)) return 0;
  if (value === undefined) return null;
  if (Array.isArray(value)) return value.map(normal);
  if (value instanceof Map) return new Map([...value].map(([key, entry]) => [key, normal(entry)]));
  if (value !== null && typeof value === "object" && !(value instanceof Decimal) && !(value instanceof Uint8Array)) {
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, normal(entry)]));
  }
  return value;
}

describe("ISO 8601", () => {
  it("gives every instant back, in every unit", () => {
    const limits = { s: 8_640_000_000_000n, ms: 8_640_000_000_000_000n, us: 2n ** 53n - 1n, ns: 2n ** 63n - 1n } as const;
    fc.assert(
      fc.property(fc.constantFrom("s", "ms", "us", "ns" as const), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (unit, any) => {
        const value = any % limits[unit];
        expect(parseInstant(instantText(value, unit) ?? "", unit)).toBe(value);
      }),
    );
  });

  it("agrees with Date on text that both take", () => {
    fc.assert(
      fc.property(fc.date({ noInvalidDate: true }), fc.integer({ min: -14 * 60, max: 14 * 60 }), (when, offset) => {
        expect(parseInstant(when.toISOString(), "ms")).toBe(BigInt(when.getTime()));
        const sign = offset < 0 ? "-" : "+";
        const two = (n: number): string => String(n).padStart(2, "0");
        const text = when.toISOString().replace("Z", `${sign}${two(Math.floor(Math.abs(offset) / 60))}:${two(Math.abs(offset) % 60)}`);
        const expected = new Date(text).getTime();
        if (!Number.isNaN(expected)) expect(parseInstant(text, "ms")).toBe(BigInt(expected));
      }),
    );
  });

  it("refuses days that do not exist and digits that would be lost", () => {
    expect(parseDay("2024-02-30")).toBeUndefined();
    expect(parseDay("2024-02-29")).toBe(19_782);
    expect(parseInstant("2024-01-01T00:00:00.0001Z", "ms")).toBeUndefined();
    expect(parseInstant("2024-01-01T00:00:00.1000Z", "ms")).toBe(1_704_067_200_100n);
    expect(parseInstant("2024-01-01T00:00:00", "ms")).toBeUndefined();
    expect(parseInstant("2024-01-01T24:00:00Z", "ms")).toBeUndefined();
  });
});
