// Texts as DuckDB lays them out: 16 bytes per value, the text itself within them where it has at most 12 bytes.
//
//   short:  | length (4) | bytes (12)                 |
//   long:   | length (4) | first 4 | pointer (8)      |

export const cellBytes = 16;
export const inlineBytes = 12;

/** Cells under construction for the rows of one chunk. */
export class StringCells {
  readonly buffer: ArrayBuffer;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;

  constructor(capacity: number) {
    this.buffer = new ArrayBuffer(capacity * cellBytes);
    this.#bytes = new Uint8Array(this.buffer);
    this.#words = new Int32Array(this.buffer);
  }

  setEmpty(row: number): void {
    this.#words.fill(0, row * 4, row * 4 + 4);
  }

  /** False where the text is too long to be held in the cell, which is then empty. */
  setBytes(row: number, bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start;
    const word = row * 4;
    const words = this.#words;
    words[word + 1] = 0;
    words[word + 2] = 0;
    words[word + 3] = 0;
    if (length > inlineBytes) {
      words[word] = 0;
      return false;
    }
    words[word] = length;
    const at = row * cellBytes + 4;
    for (let i = 0; i < length; i++) this.#bytes[at + i] = bytes[start + i] as number;
    return true;
  }

  /** The same for a string; false also for one that is not ASCII. */
  setText(row: number, text: string): boolean {
    const { length } = text;
    const word = row * 4;
    const words = this.#words;
    words[word + 1] = 0;
    words[word + 2] = 0;
    words[word + 3] = 0;
    words[word] = 0;
    if (length > inlineBytes) return false;
    const at = row * cellBytes + 4;
    for (let i = 0; i < length; i++) {
      const code = text.charCodeAt(i);
      if (code > 127) {
        words[word + 1] = 0;
        words[word + 2] = 0;
        words[word + 3] = 0;
        return false;
      }
      this.#bytes[at + i] = code;
    }
    words[word] = length;
    return true;
  }
}
