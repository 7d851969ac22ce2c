// Random schemas and JSON documents for them: good ones in every spelling that JSON allows, and ones that are nearly good.
import { toJson } from "../../core/codec/json-value.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import { Schema } from "../../core/schema/schema.ts";
import type { FieldSpec, RowSpec, TypeSpec } from "../../core/schema/type-spec.ts";

/** A seeded source of randomness (mulberry32, public domain). */
export class Random {
  #state: number;

  constructor(seed: number) {
    this.#state = seed | 0;
  }

  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  }

  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }

  shuffle<T>(items: T[]): T[] {
    for (let i = items.length - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [items[i], items[j]] = [items[j] as T, items[i] as T];
    }
    return items;
  }
}

const names = ["a", "b", "price", "auction", "dateTime", "$x", "_1", "name", "channel", "aVeryLongFieldNameThatTakesSeveralWords"];
const oddKeys = ["a b", "ключ", 'q"uote', "back\\slash", "", "x\ty", "名前", "a.b", "😀", "price2"];
const enumValues = ["bid", "ask", "", "zażółć", 'with "quote"', "1234", "12345678"];

export function randomType(random: Random, depth: number): TypeSpec {
  const roll = random.below(depth >= 2 ? 22 : 26);
  const units = ["s", "ms", "us", "ns"] as const;
  switch (roll) {
    case 0:
      return { kind: "boolean" };
    case 1:
      return { kind: "int8" };
    case 2:
      return { kind: "int16" };
    case 3:
    case 4:
      return { kind: "int32" };
    case 5:
    case 6:
    case 7:
      return { kind: "int64", as: "bigint" };
    case 8:
      return { kind: "int64", as: "number" };
    case 9:
      return { kind: "float32" };
    case 10:
    case 11:
      return { kind: "float64" };
    case 12:
      return {
        kind: "decimal",
        ...random.pick([
          { precision: 10, scale: 2 },
          { precision: 3, scale: 3 },
          { precision: 38, scale: 0 },
          { precision: 2, scale: 4 },
        ]),
      };
    case 13:
    case 14:
    case 15:
      return { kind: "string" };
    case 16:
      return { kind: "enum", values: enumValues };
    case 17:
      return { kind: "bytes" };
    case 18:
      return { kind: "timestamp", unit: random.pick(units), text: "number" };
    case 19:
      return { kind: "timestamp", unit: random.pick(units), text: "iso" };
    case 20:
      return { kind: "date" };
    case 21:
      return { kind: "any" };
    case 22:
    case 23:
      return { kind: "list", of: randomField(random, depth + 1) };
    case 24:
      return { kind: "map", of: randomField(random, depth + 1) };
    default:
      return { kind: "struct", fields: randomFields(random, depth + 1, 4) };
  }
}

function randomField(random: Random, depth: number): FieldSpec {
  const plain = random.chance(0.5);
  return { type: randomType(random, depth), nullable: !plain && random.chance(0.5), optional: !plain && random.chance(0.4), aliases: [] };
}

function randomFields(random: Random, depth: number, maxFields: number): RowSpec {
  const count = random.below(maxFields + 1);
  const spec: Record<string, FieldSpec> = {};
  const freeKeys = random.shuffle([...oddKeys]);
  for (let i = 0; i < count; i++) {
    const name = i < names.length ? (names[(i * 3) % names.length] as string) : `f${i}`;
    let field = randomField(random, depth);
    const key = freeKeys.pop();
    if (key !== undefined && random.chance(0.2)) field = { ...field, wireName: key };
    else if (key !== undefined && random.chance(0.1)) field = { ...field, aliases: [key] };
    if (random.chance(0.15)) {
      const form = defaultForm(random, field.type);
      if (form !== undefined) field = { ...field, optional: false, default: form };
    }
    spec[name] = field;
  }
  return spec;
}

// Defaults of the types whose JSON form is easy to give; others have none here.
function defaultForm(random: Random, type: TypeSpec): unknown {
  switch (type.kind) {
    case "boolean":
      return random.chance(0.5);
    case "int8":
    case "int16":
    case "int32":
    case "date":
    case "float64":
      return random.below(100);
    case "int64":
      return random.chance(0.5) ? 7 : "9007199254740991";
    case "string":
      return random.pick(["", "dflt", "é"]);
    case "decimal":
      return toJson({ type, nullable: false, optional: false, aliases: [] }, new Decimal(0n, type.scale));
    case "list":
      return [];
    default:
      return undefined;
  }
}

export function randomSchema(random: Random): Schema {
  return new Schema(randomFields(random, 0, random.chance(0.05) ? 70 : 8));
}

/** How a producer spells its documents. */
export interface Style {
  readonly space: "none" | "python" | "random";
  readonly escapes: number;
  readonly shuffled: boolean;
  readonly trouble: number;
}

export function randomStyle(random: Random): Style {
  return {
    space: random.pick(["none", "none", "none", "python", "random"] as const),
    escapes: random.pick([0, 0, 0.02, 0.3]),
    shuffled: random.chance(0.3),
    trouble: random.pick([0, 0.005, 0.03]),
  };
}

const characters = ["a", "b", "c", "Z", "0", " ", "~", "é", "ß", "漢", "😀", "\u2028", "\u007f", "\ufffd", "\uffff", "𐍈"];
const escaped = [
  '\\"',
  "\\\\",
  "\\/",
  "\\b",
  "\\f",
  "\\n",
  "\\r",
  "\\t",
  "\\u0041",
  "\\u00e9",
  "\\uD83D\\uDE00",
  "\\ud800",
  "\\uDFFF\\uD800",
  "\\u0000",
];

// What JSON does not allow, in texts and as numbers.
const notInText = ["\u0000", "\u001f", "\u0010", "\n", "\\x", "\\u12g4", "\\"];
const notNumbers = ["01", "-01", "1.", ".5", "+1", "1e", "1e+", "0x10", "1_0", "--1", "-", "NaN", "Infinity", "00", "1.e1", "1 2"];

class DocumentWriter {
  readonly #random: Random;
  readonly #style: Style;

  constructor(random: Random, style: Style) {
    this.#random = random;
    this.#style = style;
  }

  #gap(python: string): string {
    switch (this.#style.space) {
      case "none":
        return "";
      case "python":
        return python;
      case "random":
        return this.#random.chance(0.3) ? this.#random.pick([" ", "\n", "\t", "\r\n", "   "]) : "";
    }
  }

  text(): string {
    const random = this.#random;
    const length = random.chance(0.1) ? random.below(200) : random.below(14);
    const ascii = random.chance(0.7);
    let content = "";
    for (let i = 0; i < length; i++) {
      if (random.chance(this.#style.escapes)) content += random.pick(escaped);
      else if (random.chance(this.#style.trouble / 20)) content += random.pick(notInText);
      else content += ascii ? String.fromCharCode(97 + random.below(26)) : random.pick(characters);
    }
    return `"${content}"`;
  }

  key(name: string): string {
    if (this.#random.chance(this.#style.escapes / 5))
      return `"${[...name]
        .flatMap((c) => c.split(""))
        .map((c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`)
        .join("")}"`;
    return JSON.stringify(name);
  }

  #digits(count: number): string {
    let text = String(1 + this.#random.below(9));
    for (let i = 1; i < count; i++) text += String(this.#random.below(10));
    return text;
  }

  integer(): string {
    const random = this.#random;
    if (random.chance(this.#style.trouble / 5)) return random.pick(notNumbers);
    const sign = random.chance(0.2) ? "-" : "";
    if (random.chance(0.04))
      return random.pick([
        "0",
        "-0",
        "1.0",
        "1e2",
        "12E0",
        "-2.50e1",
        "0.0",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "9007199254740992",
        "9007199254740991",
        "-9007199254740991",
        "9007199254740993",
        "127",
        "128",
        "-128",
        "-129",
        "32767",
        "32768",
        "2147483647",
        "2147483648",
        "-2147483648",
        "-2147483649",
        "1e400",
        "1e-400",
        "0e5",
        "1.5",
        "123456789012345678901234567890",
      ]);
    return sign + this.#digits(random.chance(0.8) ? 1 + random.below(9) : 1 + random.below(20));
  }

  float(): string {
    const random = this.#random;
    if (random.chance(this.#style.trouble / 5)) return random.pick(notNumbers);
    if (random.chance(0.1))
      return random.pick([
        "0",
        "-0",
        "-0.0",
        "1e308",
        "1.8e308",
        "-1e309",
        "5e-324",
        "1e-400",
        "3.4028235e38",
        "3.4028236e38",
        "1e22",
        "1e23",
        "123456789012345.678",
        "0.1",
        "9007199254740993",
        "2.2250738585072011e-308",
        "1E5",
        "1e+5",
        "100e-2",
      ]);
    const sign = random.chance(0.2) ? "-" : "";
    const fraction = random.chance(0.7)
      ? `.${String(random.below(10))}${random.chance(0.7) ? this.#digits(1 + random.below(12)) : ""}`
      : "";
    const exponent = random.chance(0.1) ? `${random.pick(["e", "E"])}${random.pick(["", "+", "-"])}${random.below(30)}` : "";
    return `${sign}${random.chance(0.2) ? "0" : this.#digits(1 + random.below(17))}${fraction}${exponent}`;
  }

  #two(limit: number): string {
    return String(this.#random.below(limit)).padStart(2, "0");
  }

  #day(): string {
    const random = this.#random;
    const year = random.chance(0.05)
      ? random.pick(["0000", "0001", "1600", "1900", "9999", "+012024", "24"])
      : String(1950 + random.below(120));
    return `${year}-${random.chance(0.03) ? "13" : String(1 + random.below(12)).padStart(2, "0")}-${String(1 + random.below(31)).padStart(2, "0")}`;
  }

  #instant(): string {
    const random = this.#random;
    const fraction = random.chance(0.5)
      ? `.${String(random.below(10 ** random.pick([1, 3, 6, 9]))).padStart(random.pick([1, 3, 6, 9]), "0")}`
      : "";
    const zone = random.chance(0.7) ? "Z" : random.pick(["+00:00", "-05:30", "+14:00", "+0530", "z", "", "+25:00"]);
    return `${this.#day()}${random.chance(0.95) ? "T" : " "}${this.#two(random.chance(0.98) ? 24 : 30)}:${this.#two(60)}:${this.#two(60)}${fraction}${zone}`;
  }

  anything(depth: number): string {
    const random = this.#random;
    switch (random.below(depth > 3 ? 6 : 8)) {
      case 0:
        return "null";
      case 1:
        return random.pick(["true", "false"]);
      case 2:
        return this.integer();
      case 3:
        return this.float();
      case 4:
      case 5:
        return this.text();
      case 6:
        return this.array(Array.from({ length: random.below(5) }, () => this.anything(depth + 1)));
      default:
        return this.object(Array.from({ length: random.below(5) }, () => [this.text(), this.anything(depth + 1)] as const));
    }
  }

  array(items: readonly string[]): string {
    return `[${this.#gap("")}${items.join(`${this.#gap("")},${this.#gap(" ")}`)}${this.#gap("")}]`;
  }

  /** Entries come with their keys already spelled. */
  object(entries: readonly (readonly [string, string])[]): string {
    const parts = entries.map(([key, value]) => `${key}${this.#gap("")}:${this.#gap(" ")}${value}`);
    return `{${this.#gap("")}${parts.join(`${this.#gap("")},${this.#gap(" ")}`)}${this.#gap("")}}`;
  }

  value(type: TypeSpec): string {
    const random = this.#random;
    if (random.chance(this.#style.trouble)) return this.anything(2);
    switch (type.kind) {
      case "boolean":
        return random.pick(["true", "false"]);
      case "int8":
        return random.chance(0.9) ? String(random.below(256) - 128) : this.integer();
      case "int16":
        return random.chance(0.9) ? String(random.below(65536) - 32768) : this.integer();
      case "int32":
        return random.chance(0.9) ? String(random.below(2 ** 32) - 2 ** 31) : this.integer();
      case "int64":
        return this.integer();
      case "timestamp":
        return type.text === "iso" ? `"${this.#instant()}"` : this.integer();
      case "date":
        return `"${this.#day()}"`;
      case "float32":
      case "float64":
        return random.chance(0.02) ? random.pick(['"NaN"', '"Infinity"', '"-Infinity"', '"nan"']) : this.float();
      case "decimal": {
        const text = random.chance(0.7)
          ? `${random.pick(["", "-"])}${random.below(1000)}${type.scale > 0 ? `.${String(random.below(10 ** Math.min(type.scale, 3)))}` : ""}`
          : this.float();
        return random.chance(0.5) ? text : `"${text}"`;
      }
      case "string":
        return this.text();
      case "enum":
        return JSON.stringify(random.pick(type.values));
      case "bytes": {
        const base64 = Buffer.from(Array.from({ length: random.below(12) }, () => random.below(256))).toString("base64");
        return `"${random.chance(0.95) ? base64 : random.pick([base64.replace("=", ""), `${base64}A`, base64.replaceAll("/", "\\/"), "QQ==", "QR==", "QUE=", "QUF=", "a-_="])}"`;
      }
      case "any":
        return this.anything(1);
      case "list":
        return this.array(Array.from({ length: random.below(5) }, () => this.element(type.of)));
      case "map":
        return this.object(Array.from({ length: random.below(5) }, () => [this.text(), this.element(type.of)] as const));
      case "struct":
        return this.row(type.fields);
    }
  }

  element(spec: FieldSpec): string {
    return (spec.nullable || spec.optional) && this.#random.chance(0.2) ? "null" : this.value(spec.type);
  }

  row(spec: RowSpec): string {
    const random = this.#random;
    const { trouble, shuffled } = this.#style;
    const entries: (readonly [string, string])[] = [];
    for (const [name, field] of Object.entries(spec)) {
      const key = field.aliases.length > 0 && random.chance(0.3) ? random.pick(field.aliases) : (field.wireName ?? name);
      const mayMiss = field.optional || field.default !== undefined;
      if (mayMiss ? random.chance(0.1) : random.chance(trouble)) continue;
      const value = field.nullable && random.chance(0.15) ? "null" : random.chance(trouble / 3) ? "null" : this.value(field.type);
      entries.push([this.key(key), value]);
      if (random.chance(trouble)) entries.push([this.key(key), this.value(field.type)]);
    }
    if (random.chance(0.1)) entries.splice(random.below(entries.length + 1), 0, [this.text(), this.anything(1)]);
    return this.object(shuffled && random.chance(0.5) ? random.shuffle(entries) : entries);
  }
}

// Makes a document that is nearly JSON.
function mutate(random: Random, document: Buffer): Buffer {
  const at = random.below(document.length + 1);
  const insert = (bytes: readonly number[]): Buffer => Buffer.concat([document.subarray(0, at), Buffer.from(bytes), document.subarray(at)]);
  switch (random.below(9)) {
    case 0:
      return document.subarray(0, at);
    case 1:
      return Buffer.concat([document.subarray(0, at), document.subarray(Math.min(document.length, at + 1 + random.below(3)))]);
    case 2:
      return insert([random.below(256)]);
    case 3:
      return insert(
        [...'{}[]",:0123456789.eE-+\\u \n\tnulltruefalse'].map((c) => c.charCodeAt(0)).slice(random.below(20), 20 + random.below(3)),
      );
    case 4: {
      const copy = Buffer.from(document);
      if (copy.length > 0) copy[random.below(copy.length)] = random.below(256);
      return copy;
    }
    case 5:
      return insert(
        random.pick([
          [0xef, 0xbb, 0xbf],
          [0xc0, 0x80],
          [0xed, 0xa0, 0x80],
          [0xf5, 0x80, 0x80, 0x80],
          [0xe2, 0x82],
          [0x80],
          [0],
          [0x1f],
          [0x7f],
        ]),
      );
    case 6:
      return Buffer.concat([document, Buffer.from(random.pick([",", "}", "{}", " ", "\n", "x", "\0"]))]);
    case 7:
      return Buffer.from(
        random.pick(["", " ", "null", "1", "[]", '"x"', "{", "}", "nul", "{}", " {} ", "[{}]", "[".repeat(70) + "]".repeat(70)]),
      );
    default: {
      const copy = Buffer.from(document);
      if (copy.length > 0) copy[random.below(copy.length)] = random.pick([0x22, 0x5c, 0x2c, 0x7d, 0x30, 0x2e]);
      return copy;
    }
  }
}

/** A document for rows of a spec, as bytes: fitting, or nearly so. */
export function randomDocument(random: Random, spec: RowSpec, style: Style): Buffer {
  const document = Buffer.from(new DocumentWriter(random, style).row(spec));
  return random.chance(0.1) ? mutate(random, document) : document;
}
