// An exact decimal number: an unscaled bigint and how many of its digits stand behind the point.

const pattern = /^([+-]?)(\d+)(?:\.(\d*))?(?:[eE]([+-]?\d{1,4}))?$/;

export class Decimal {
  readonly unscaled: bigint;
  readonly scale: number;

  constructor(unscaled: bigint, scale: number) {
    this.unscaled = unscaled;
    this.scale = scale;
  }

  /** Parses `-12.50` or `1.25e3`; throws RangeError on anything else. Keeps the digits as written: `1.50` has scale 2. */
  static parse(text: string): Decimal {
    const match = pattern.exec(text);
    if (match === null) throw new RangeError(`"${text}" is not a decimal number`);
    const [, sign, whole = "", fraction = "", exponent = "0"] = match;
    const digits = BigInt(whole + fraction);
    const scale = fraction.length - Number(exponent);
    const unscaled = sign === "-" ? -digits : digits;
    return scale >= 0 ? new Decimal(unscaled, scale) : new Decimal(unscaled * 10n ** BigInt(-scale), 0);
  }

  /** The same value with `scale` digits behind the point; throws RangeError where that would drop digits that are not zero. */
  rescale(scale: number): Decimal {
    if (scale === this.scale) return this;
    if (scale > this.scale) return new Decimal(this.unscaled * 10n ** BigInt(scale - this.scale), scale);
    const divisor = 10n ** BigInt(this.scale - scale);
    if (this.unscaled % divisor !== 0n) throw new RangeError(`${this.toString()} does not fit ${scale} digits behind the point`);
    return new Decimal(this.unscaled / divisor, scale);
  }

  add(other: Decimal): Decimal {
    const scale = Math.max(this.scale, other.scale);
    return new Decimal(this.rescale(scale).unscaled + other.rescale(scale).unscaled, scale);
  }

  subtract(other: Decimal): Decimal {
    return this.add(other.negate());
  }

  multiply(other: Decimal): Decimal {
    return new Decimal(this.unscaled * other.unscaled, this.scale + other.scale);
  }

  negate(): Decimal {
    return new Decimal(-this.unscaled, this.scale);
  }

  /** Negative, zero or positive as this is less than, equal to or greater than `other`. */
  compare(other: Decimal): number {
    const difference = this.subtract(other).unscaled;
    return difference < 0n ? -1 : difference > 0n ? 1 : 0;
  }

  equals(other: Decimal): boolean {
    return this.compare(other) === 0;
  }

  toNumber(): number {
    return Number(this.toString());
  }

  toString(): string {
    if (this.scale === 0) return this.unscaled.toString();
    const negative = this.unscaled < 0n;
    const digits = (negative ? -this.unscaled : this.unscaled).toString().padStart(this.scale + 1, "0");
    return `${negative ? "-" : ""}${digits.slice(0, -this.scale)}.${digits.slice(-this.scale)}`;
  }

  /** Text, so that JSON keeps every digit. */
  toJSON(): string {
    return this.toString();
  }
}
