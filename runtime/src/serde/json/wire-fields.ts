// Which keys of a JSON object belong to which field: wire names and aliases, found by bytes.
import { MillraceError } from "../../base/errors.ts";
import type { FieldSpec, RowSpec } from "../../core/schema/type-spec.ts";

/** A field with the keys that it is read from; the first is the one it is written under. */
export interface WireField {
  readonly index: number;
  readonly name: string;
  readonly spec: FieldSpec;
  readonly keys: readonly string[];
}

/** The fields of a row or struct. Throws SCHEMA_FIELD_CONFLICT when a key would belong to two of them. */
export function wireFields(spec: RowSpec): readonly WireField[] {
  const owners = new Map<string, string>();
  return Object.entries(spec).map(([name, field], index) => {
    const keys = [...new Set([field.wireName ?? name, ...field.aliases])];
    for (const key of keys) {
      const owner = owners.get(key);
      if (owner !== undefined) {
        throw new MillraceError(
          "SCHEMA_FIELD_CONFLICT",
          `field "${name}"`,
          `reads the key "${key}", and so does field "${owner}"`,
          "give each key to one field",
        );
      }
      owners.set(key, name);
    }
    return { index, name, spec: field, keys };
  });
}

/** Finds the field of a key given as bytes; a hash table over length and three bytes, without making a string. */
export class KeyTable {
  readonly #mask: number;
  readonly #heads: Int32Array;
  readonly #next: Int32Array;
  readonly #keys: readonly Buffer[];
  readonly #fields: Int32Array;

  constructor(fields: readonly WireField[]) {
    const entries = fields.flatMap((field) => field.keys.map((key) => ({ key: Buffer.from(key), field: field.index })));
    const size = 2 ** Math.ceil(Math.log2(entries.length * 2 + 2));
    this.#mask = size - 1;
    this.#heads = new Int32Array(size).fill(-1);
    this.#next = new Int32Array(entries.length);
    this.#keys = entries.map((entry) => entry.key);
    this.#fields = Int32Array.from(entries.map((entry) => entry.field));
    entries.forEach(({ key }, index) => {
      const slot = this.#slot(key, 0, key.length);
      this.#next[index] = this.#heads[slot] as number;
      this.#heads[slot] = index;
    });
  }

  #slot(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    if (length === 0) return 0;
    const first = bytes[start] as number;
    const middle = bytes[start + (length >> 1)] as number;
    const last = bytes[end - 1] as number;
    return (length * 7 + first * 31 + middle * 131 + last * 17) & this.#mask;
  }

  /** The index of the field whose key is `bytes[start, end)`; -1 for an unknown one. */
  find(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start;
    for (let entry = this.#heads[this.#slot(bytes, start, end)] as number; entry >= 0; entry = this.#next[entry] as number) {
      const key = this.#keys[entry] as Buffer;
      if (key.length !== length) continue;
      let i = 0;
      while (i < length && bytes[start + i] === key[i]) i++;
      if (i === length) return this.#fields[entry] as number;
    }
    return -1;
  }
}
