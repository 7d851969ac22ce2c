// Appends ASCII text and whole numbers to a buffer by plain loops: for the short pieces of a record that beats calls into native code.

/** More than the largest record, so that room is checked once per record. */
const slackBytes = 4096;

export class JsonBytes {
  buffer: Buffer = Buffer.allocUnsafeSlow(1 << 18);
  length = 0;

  /** Makes room for a record of up to `bytes`. */
  reserve(bytes: number): void {
    if (this.length + bytes + slackBytes <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, this.length + bytes + slackBytes));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  range(bytes: Buffer, start: number, end: number): void {
    const target = this.buffer;
    let at = this.length;
    for (let i = start; i < end; i++) target[at++] = bytes[i] as number;
    this.length = at;
  }

  /** All of `bytes`. */
  all(bytes: Buffer): void {
    this.range(bytes, 0, bytes.length);
  }

  /** A whole number from 0 to 2^53 - 1. */
  integer(value: number): void {
    const target = this.buffer;
    let digits = 1;
    for (let limit = 10; value >= limit; limit *= 10) digits++;
    let at = this.length + digits;
    this.length = at;
    let rest = value;
    do {
      target[--at] = 48 + (rest % 10);
      rest = Math.floor(rest / 10);
    } while (rest > 0);
  }
}
