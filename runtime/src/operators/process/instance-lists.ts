// State of an operator's instance, not of a key: lists that a restart spreads over the instances.
import type { StateOptions, StateType } from "../../core/handles/declarations.ts";
import type { OperatorContext } from "../../core/operator/operator.ts";
import { Schema } from "../../core/schema/schema.ts";
import { StoredValues } from "../rows/stored-values.ts";

/**
 * `split`: after a restart each element is with one instance, whichever; `union`: every instance has the elements of all, and
 * keeps what it wants.
 */
export interface InstanceListDeclaration<T> {
  readonly type: StateType<T>;
  readonly redistribution: "split" | "union";
  readonly migrate?: StateOptions["migrate"];
}

export type InstanceListDeclarations = Readonly<Record<string, InstanceListDeclaration<unknown>>>;

/** Values are the state's own: copy them to change them. */
export interface InstanceList<T> extends Iterable<T> {
  readonly size: number;
  /** All values, in a new array. */
  get(): T[];
  /** Adds a copy. Throws ROW_INVALID for a value that does not fit. */
  add(value: T): void;
  /** Puts copies of `values` in the place of all that is there. */
  set(values: Iterable<T>): void;
  clear(): void;
}

export type InstanceListsOf<D> = { readonly [Name in keyof D]: D[Name] extends InstanceListDeclaration<infer T> ? InstanceList<T> : never };

/** Declares the lists of an operator. Called when it is made. */
export function instanceLists(context: OperatorContext, declarations: InstanceListDeclarations): Record<string, StoredList> {
  return Object.fromEntries(Object.entries(declarations).map(([name, declaration]) => [name, new StoredList(context, name, declaration)]));
}

export class StoredList implements InstanceList<unknown> {
  readonly #scalar: boolean;
  readonly #values: StoredValues;
  #entries: { readonly value: unknown; readonly bytes: Uint8Array }[] = [];

  constructor(context: OperatorContext, name: string, { type, redistribution, migrate }: InstanceListDeclaration<unknown>) {
    this.#scalar = !(type instanceof Schema);
    const schema = type instanceof Schema ? type : new Schema({ value: type.spec });
    const list = `list.${name}`;
    this.#values = new StoredValues(context, list, schema, migrate);
    const restored = context.state.list(list, redistribution, () =>
      this.#entries.map(({ bytes }, index) => ({ key: `${context.subtask}.${index}`, value: bytes })),
    );
    for (const { value } of restored) this.#push(this.#values.encode(this.#values.decodeStored(value)));
  }

  #push(bytes: Uint8Array): void {
    const row = this.#values.decode(bytes);
    this.#entries.push({ value: this.#scalar ? (row as { readonly value: unknown }).value : row, bytes });
  }

  get size(): number {
    return this.#entries.length;
  }

  get(): unknown[] {
    return this.#entries.map(({ value }) => value);
  }

  [Symbol.iterator](): Iterator<unknown> {
    return this.get()[Symbol.iterator]();
  }

  add(value: unknown): void {
    this.#push(this.#values.encode(this.#scalar ? { value } : value));
  }

  set(values: Iterable<unknown>): void {
    const before = this.#entries;
    const all = [...values];
    this.#entries = [];
    try {
      for (const value of all) this.add(value);
    } catch (error) {
      this.#entries = before;
      throw error;
    }
  }

  clear(): void {
    this.#entries = [];
  }
}
