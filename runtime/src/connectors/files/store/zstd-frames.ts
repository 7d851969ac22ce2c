// Walks over zstd data frame by frame (RFC 8878), so that a file of several frames is read whole and a cut one is noticed.
//
// Node's decoder stops after the first frame without a word before version 26, and up to version 22 also at the end of truncated data.

const frameMagic = 0xfd2fb528;
const skippableMagic = 0x184d2a50;
const skippableMask = 0xfffffff0;
const headerBytes = { magic: 4, descriptor: 1, block: 3, skippableSize: 4, checksum: 4 } as const;
const rleBlock = 1;
const reservedBlock = 3;

/** What the next bytes are. */
type Part = "magic" | "skippable-size" | "skippable" | "descriptor" | "header-rest" | "block-header" | "block" | "checksum";

/** The state between two chunks. Throws RangeError for bytes that are no zstd. */
export class ZstdFrames {
  #part: Part = "magic";
  /** Bytes of the part that are still to come. */
  #left: number = headerBytes.magic;
  /** The bytes of a header so far, little-endian. */
  #value = 0;
  #place = 0;
  #lastBlock = false;
  #hasChecksum = false;
  /** True between frames, and before the first one. */
  get between(): boolean {
    return this.#part === "magic" && this.#left === headerBytes.magic;
  }

  /** How many bytes of `chunk[from, chunk.length)` belong to the current frame; it has ended there when `between` is true afterwards. */
  walk(chunk: Uint8Array, from: number): number {
    let at = from;
    while (at < chunk.length) {
      if (this.#part === "block" || this.#part === "skippable" || this.#part === "checksum" || this.#part === "header-rest") {
        const size = Math.min(this.#left, chunk.length - at);
        at += size;
        this.#left -= size;
      } else {
        this.#value += (chunk[at++] as number) * 256 ** this.#place++;
        this.#left--;
      }
      while (this.#left === 0) this.#next();
      if (this.between) break;
    }
    return at - from;
  }

  #expect(part: Part, bytes: number): void {
    this.#part = part;
    this.#left = bytes;
    this.#value = 0;
    this.#place = 0;
  }

  #next(): void {
    const value = this.#value;
    switch (this.#part) {
      case "magic":
        if (value === frameMagic) this.#expect("descriptor", headerBytes.descriptor);
        else if ((value & skippableMask) >>> 0 === skippableMagic) this.#expect("skippable-size", headerBytes.skippableSize);
        else throw new RangeError("it does not begin like a zstd frame");
        return;
      case "skippable-size":
        this.#expect("skippable", value);
        return;
      case "descriptor":
        this.#hasChecksum = (value & 4) !== 0;
        this.#expect("header-rest", headerRestBytes(value));
        return;
      case "header-rest":
        this.#expect("block-header", headerBytes.block);
        return;
      case "block-header": {
        const type = (value >> 1) & 3;
        if (type === reservedBlock) throw new RangeError("a zstd block is of no known type");
        this.#lastBlock = (value & 1) === 1;
        this.#expect("block", type === rleBlock ? 1 : value >> 3);
        return;
      }
      case "block":
        if (!this.#lastBlock) this.#expect("block-header", headerBytes.block);
        else this.#expect(this.#hasChecksum ? "checksum" : "magic", this.#hasChecksum ? headerBytes.checksum : headerBytes.magic);
        return;
      case "skippable":
      case "checksum":
        this.#expect("magic", headerBytes.magic);
    }
  }
}

/** How many bytes of the frame header follow its descriptor: window, dictionary id and content size. */
function headerRestBytes(descriptor: number): number {
  const single = (descriptor & 32) !== 0;
  const dictionary = [0, 1, 2, 4][descriptor & 3] as number;
  const sizeFlag = descriptor >> 6;
  const contentSize = sizeFlag === 0 ? (single ? 1 : 0) : 2 ** sizeFlag;
  return (single ? 0 : 1) + dictionary + contentSize;
}
