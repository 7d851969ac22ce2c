// The namespaces of a table: a small number (list) for each one that has entries, with how many it has.
import { murmur3Integer } from "../../base/murmur3.ts";

const noNamespace = Number.NaN;

/** Hands out list numbers for namespaces and takes them back when the last entry is gone. */
export class Namespaces {
  readonly #lists = new Map<number, number>();
  /** Per list: its namespace, the salt that mixes it into hashes, and how many entries it has in memory. */
  #values: Float64Array = new Float64Array(16);
  #salts: Int32Array = new Int32Array(16);
  #counts: Int32Array = new Int32Array(16);
  readonly #free: number[] = [];
  #used = 0;
  // Batches have few namespaces, in runs or alternating: a small direct-mapped cache saves the map's look-up.
  readonly #cachedNamespaces: Float64Array = new Float64Array(16).fill(noNamespace);
  readonly #cachedLists: Int32Array = new Int32Array(16);

  /** How many namespaces have entries. */
  get count(): number {
    return this.#lists.size;
  }

  /** The list of a namespace, -1 when it has no entries. */
  find(namespace: number): number {
    const place = Math.imul(namespace | 0, 0x9e3779b1) >>> 28;
    if (this.#cachedNamespaces[place] === namespace) return this.#cachedLists[place] as number;
    const list = this.#lists.get(namespace);
    if (list === undefined) return -1;
    this.#cachedNamespaces[place] = namespace;
    this.#cachedLists[place] = list;
    return list;
  }

  /** The list of a namespace, a new one where it has none. */
  acquire(namespace: number): number {
    const found = this.find(namespace);
    if (found >= 0) return found;
    const list = this.#free.pop() ?? this.#used++;
    if (list >= this.#values.length) this.#grow();
    this.#values[list] = namespace;
    this.#salts[list] = murmur3Integer(namespace);
    this.#counts[list] = 0;
    this.#lists.set(namespace, list);
    return list;
  }

  saltOf(list: number): number {
    return this.#salts[list] as number;
  }

  valueOf(list: number): number {
    return this.#values[list] as number;
  }

  countOf(list: number): number {
    return this.#counts[list] as number;
  }

  added(list: number): void {
    this.#counts[list] = (this.#counts[list] as number) + 1;
  }

  /** One entry of the list is gone; the last one frees the list. */
  removed(list: number): void {
    const left = (this.#counts[list] as number) - 1;
    this.#counts[list] = left;
    if (left === 0) this.release(list);
  }

  /** Frees a list without entries. */
  release(list: number): void {
    const namespace = this.#values[list] as number;
    this.#lists.delete(namespace);
    const place = Math.imul(namespace | 0, 0x9e3779b1) >>> 28;
    if (this.#cachedNamespaces[place] === namespace) this.#cachedNamespaces[place] = noNamespace;
    this.#free.push(list);
  }

  values(): IterableIterator<number> {
    return this.#lists.keys();
  }

  #grow(): void {
    const size = this.#values.length * 2;
    const values = new Float64Array(size);
    values.set(this.#values);
    this.#values = values;
    const salts = new Int32Array(size);
    salts.set(this.#salts);
    this.#salts = salts;
    const counts = new Int32Array(size);
    counts.set(this.#counts);
    this.#counts = counts;
  }
}
