// Broadcast state: maps of which every instance holds the same entries, because every instance sees the same rows.
import { MillraceError } from "../../base/errors.ts";
import { fits } from "../../core/batch/rows-builder.ts";
import type { AnyDeclaration, MapDeclaration } from "../../core/handles/declarations.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import type { FieldSpec } from "../../core/schema/type-spec.ts";
import { StoredValues } from "../rows/stored-values.ts";

/** A map declaration, whatever its types. */
type AnyMap = Extract<AnyDeclaration, { readonly kind: "map" }>;

/** Maps by name, declared with `state.map(...)`; they have no time to live. */
export type BroadcastDeclarations = Readonly<Record<string, AnyMap>>;

/** A broadcast map as the other input's function sees it. Values are the state's own: copy them to change them. */
export interface ReadonlyBroadcastMap<K, V> extends Iterable<[K, V]> {
  get(key: K): V | undefined;
  has(key: K): boolean;
  keys(): K[];
  values(): V[];
  entries(): [K, V][];
  readonly size: number;
}

/** As the broadcast input's function sees it. What it does must follow from the broadcast rows alone, or instances part. */
export interface BroadcastMap<K, V> extends ReadonlyBroadcastMap<K, V> {
  /** Stores a copy. Throws ROW_INVALID for a key or value that does not fit. */
  set(key: K, value: V): void;
  delete(key: K): boolean;
  clear(): void;
}

export type BroadcastMapsOf<D> = {
  readonly [Name in keyof D]: D[Name] extends MapDeclaration<infer K, infer V> ? BroadcastMap<K, V> : never;
};
export type ReadonlyBroadcastMapsOf<D> = {
  readonly [Name in keyof D]: D[Name] extends MapDeclaration<infer K, infer V> ? ReadonlyBroadcastMap<K, V> : never;
};

/** Declares the maps of an operator. Called when it is made. */
export function broadcastMaps(context: OperatorContext, declarations: Readonly<Record<string, AnyMap>>): Record<string, StoredMap> {
  return Object.fromEntries(Object.entries(declarations).map(([name, declaration]) => [name, new StoredMap(context, name, declaration)]));
}

export class StoredMap implements BroadcastMap<unknown, unknown> {
  readonly #name: string;
  readonly #key: FieldSpec;
  readonly #scalar: boolean;
  readonly #values: StoredValues;
  // By the key's text: keys of one type have one text each.
  readonly #entries = new Map<string, { readonly key: unknown; readonly value: unknown; readonly bytes: Uint8Array }>();

  constructor(context: OperatorContext, name: string, declaration: AnyMap) {
    this.#name = name;
    this.#key = declaration.key;
    this.#scalar = declaration.scalar;
    const list = `broadcast.${name}`;
    this.#values = new StoredValues(context, list, declaration.schema, declaration.options.migrate);
    const restored = context.state.list(list, "broadcast", () => [...this.#entries].map(([key, { bytes }]) => ({ key, value: bytes })));
    for (const { key, value } of restored) {
      const decoded = this.#values.decodeStored(value);
      this.#entries.set(key, { key: this.#keyOf(key), value: this.#shown(decoded), bytes: this.#values.encode(decoded) });
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: unknown): unknown {
    return this.#entries.get(this.#text(key))?.value;
  }

  has(key: unknown): boolean {
    return this.#entries.has(this.#text(key));
  }

  keys(): unknown[] {
    return [...this.#entries.values()].map(({ key }) => key);
  }

  values(): unknown[] {
    return [...this.#entries.values()].map(({ value }) => value);
  }

  entries(): [unknown, unknown][] {
    return [...this.#entries.values()].map(({ key, value }) => [key, value]);
  }

  [Symbol.iterator](): Iterator<[unknown, unknown]> {
    return this.entries()[Symbol.iterator]();
  }

  set(key: unknown, value: unknown): void {
    const bytes = this.#values.encode(this.#scalar ? { value } : value);
    this.#entries.set(this.#text(key), { key, value: this.#shown(this.#values.decode(bytes)), bytes });
  }

  delete(key: unknown): boolean {
    return this.#entries.delete(this.#text(key));
  }

  clear(): void {
    this.#entries.clear();
  }

  #shown(row: unknown): unknown {
    return this.#scalar ? (row as { readonly value: unknown }).value : row;
  }

  #text(key: unknown): string {
    if (fits(this.#key, key)) return String(key);
    throw new MillraceError(
      "ROW_INVALID",
      `broadcast map "${this.#name}"`,
      `${String(key)} is not a ${this.#key.type.kind}`,
      "use keys of the declared type",
    );
  }

  #keyOf(text: string): unknown {
    const { type } = this.#key;
    if (type.kind === "string" || type.kind === "enum") return text;
    const isBig = (type.kind === "int64" && type.as === "bigint") || (type.kind === "timestamp" && type.unit === "ns");
    return isBig ? BigInt(text) : Number(text);
  }
}
