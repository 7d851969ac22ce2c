// The keys of a slot table: four 32-bit words per slot, and for keys of bytes an arena that they point into.
import type { ByteWriter } from "../../base/bytes.ts";
import type { KeyBatch } from "../../core/keys/key-batch.ts";
import type { KeyForm } from "../../core/keys/key-layout.ts";
import { MillraceError } from "../../base/errors.ts";

const maxArenaBytes = 2 ** 31 - 1;

/**
 * `heads` holds, from `slot * 4`: the key's hash; its low and high word, or start and length in the arena; the list
 * (namespace) that the entry belongs to. One slot is 16 bytes, so a look-up touches one cache line of it.
 */
export class SlotKeys {
  readonly integer: boolean;
  heads: Int32Array = new Int32Array(0);
  arena: Buffer;
  #arenaEnd = 0;
  #garbage = 0;

  constructor(form: KeyForm) {
    this.integer = form === "integer";
    this.arena = this.integer ? Buffer.alloc(0) : Buffer.allocUnsafeSlow(256);
  }

  get sizeBytes(): number {
    return this.heads.byteLength + this.arena.length;
  }

  /** What the arena will take when `count` keys of the same lengths have become `wanted`. */
  arenaBytesAt(wanted: number, count: number): number {
    const used = ((this.#arenaEnd - this.#garbage) / Math.max(1, count)) * wanted;
    return this.integer ? 0 : Math.max(this.arena.length, 2 ** Math.ceil(Math.log2(Math.max(256, used / 0.75))));
  }

  ensure(capacity: number): void {
    const grown = new Int32Array(capacity * 4);
    grown.set(this.heads);
    this.heads = grown;
  }

  /** Fills the head of `slot` with key `k`. `slotCount` slots exist, for a compaction of the arena. */
  set(slot: number, keys: KeyBatch, k: number, list: number, slotCount: number): void {
    const at = slot * 4;
    if (this.integer) {
      this.heads[at + 1] = keys.low[k] as number;
      this.heads[at + 2] = keys.high[k] as number;
    } else {
      const start = keys.starts[k] as number;
      const end = keys.ends[k] as number;
      this.#reserve(end - start, slotCount);
      copyBytes(keys.bytes, start, end, this.arena, this.#arenaEnd);
      this.heads[at + 1] = this.#arenaEnd;
      this.heads[at + 2] = end - start;
      this.#arenaEnd += end - start;
    }
    this.heads[at] = keys.hashes[k] as number;
    this.heads[at + 3] = list;
  }

  /** Gives the bytes of a slot's key up; the slot itself is its caller's to reuse. */
  drop(slot: number): void {
    if (this.integer) return;
    this.#garbage += this.heads[slot * 4 + 2] as number;
    this.heads[slot * 4 + 2] = 0;
  }

  hashOf(slot: number): number {
    return this.heads[slot * 4] as number;
  }

  listOf(slot: number): number {
    return this.heads[slot * 4 + 3] as number;
  }

  /** How many bytes `write` appends. */
  keyLength(slot: number): number {
    return this.integer ? 8 : (this.heads[slot * 4 + 2] as number);
  }

  /** Appends the canonical bytes of the slot's key, without a length. */
  write(slot: number, writer: ByteWriter): void {
    const first = this.heads[slot * 4 + 1] as number;
    const second = this.heads[slot * 4 + 2] as number;
    if (this.integer) {
      const at = writer.reserve(8);
      const target = writer.buffer;
      target[at] = first;
      target[at + 1] = first >>> 8;
      target[at + 2] = first >>> 16;
      target[at + 3] = first >>> 24;
      target[at + 4] = second;
      target[at + 5] = second >>> 8;
      target[at + 6] = second >>> 16;
      target[at + 7] = second >>> 24;
      writer.length = at + 8;
    } else writer.raw(this.arena, first, first + second);
  }

  /** A copy of the slot's canonical key bytes. */
  copy(slot: number): Buffer {
    const first = this.heads[slot * 4 + 1] as number;
    const second = this.heads[slot * 4 + 2] as number;
    if (!this.integer) return Buffer.from(this.arena.subarray(first, first + second));
    const bytes = Buffer.allocUnsafe(8);
    bytes.writeInt32LE(first, 0);
    bytes.writeInt32LE(second, 4);
    return bytes;
  }

  #reserve(bytes: number, slotCount: number): void {
    if (this.#arenaEnd + bytes <= this.arena.length) return;
    const used = this.#arenaEnd - this.#garbage;
    // A quarter garbage: the live keys move together in a buffer of the same size. Else it doubles; both are amortised.
    const size = used + bytes <= this.arena.length * 0.75 ? this.arena.length : Math.max(this.arena.length * 2, used + bytes);
    if (used + bytes > maxArenaBytes) {
      throw new MillraceError(
        "STATE_TOO_LARGE",
        "a state table",
        "its keys take more than 2 GiB on one instance",
        "raise the parallelism, or use the rocksdb backend",
      );
    }
    const arena = Buffer.allocUnsafeSlow(Math.min(size, maxArenaBytes));
    const { heads } = this;
    let end = 0;
    for (let at = 0; at < slotCount * 4; at += 4) {
      const length = heads[at + 2] as number;
      if (length === 0) continue;
      const start = heads[at + 1] as number;
      copyBytes(this.arena, start, start + length, arena, end);
      heads[at + 1] = end;
      end += length;
    }
    this.arena = arena;
    this.#arenaEnd = end;
    this.#garbage = 0;
  }
}

function copyBytes(from: Uint8Array, start: number, end: number, to: Buffer, at: number): void {
  // A loop beats the native call for the short ranges that keys are.
  if (end - start < 48) for (let i = start, o = at; i < end; i++, o++) to[o] = from[i] as number;
  else to.set(from.subarray(start, end), at);
}
