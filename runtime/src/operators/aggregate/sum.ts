// sum and avg: exact for integers and decimals, plain double arithmetic for floats.
import { MillraceError } from "../../base/errors.ts";
import type { Batch } from "../../core/batch/batch.ts";
import type { Column } from "../../core/batch/column.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import type { FieldSpec, RowSpec, TypeSpec } from "../../core/schema/type-spec.ts";
import { type AggregateFunction, columnAt, hasValue } from "./aggregate.ts";
import { addCounts, countStateSpec } from "./count.ts";
import { writeNull } from "./scalar.ts";

const maxSafe = Number.MAX_SAFE_INTEGER;
const int64Min = -(2n ** 63n);
const int64Max = 2n ** 63n - 1n;
const zeroOf = (scale: number): Decimal => new Decimal(0n, scale);

/** How a sum is kept: doubles, doubles that must stay exact integers, exact 64-bit integers, decimals. */
type SumForm = "float" | "int53" | "int64" | "decimal";

function plain(type: TypeSpec, nullable = false): FieldSpec {
  return { type, nullable, optional: false, aliases: [] };
}

/** The form of sums over a field; undefined for a type that has none. `wide` keeps integers of any type in 64 bits. */
export function sumForm(type: TypeSpec, wide: boolean): SumForm | undefined {
  switch (type.kind) {
    case "float32":
    case "float64":
      return "float";
    case "int8":
    case "int16":
    case "int32":
      return wide ? "int64" : "int53";
    case "int64":
      return wide || type.as === "bigint" ? "int64" : "int53";
    case "decimal":
      return "decimal";
    default:
      return undefined;
  }
}

function sumType(form: SumForm, type: TypeSpec): TypeSpec {
  switch (form) {
    case "float":
      return { kind: "float64" };
    case "int53":
      return { kind: "int64", as: "number" };
    case "int64":
      return { kind: "int64", as: "bigint" };
    case "decimal":
      return { kind: "decimal", precision: 38, scale: type.kind === "decimal" ? type.scale : 0 };
  }
}

function overflow(name: string, bits: string): never {
  throw new MillraceError(
    "AGGREGATE_OVERFLOW",
    `aggregate "${name}"`,
    `its sum does not fit ${bits}`,
    "sum over an int64() or decimal() field, which hold more, or over a narrower group",
  );
}

/** A running sum per slot, and the number of its values where the field may be without one, or where `counted` asks for it. */
abstract class Sums implements AggregateFunction {
  readonly accumulators: RowSpec;
  abstract readonly resultSpec: FieldSpec;
  protected readonly counted: boolean;
  protected readonly form: SumForm;
  protected readonly scale: number;
  readonly #field: number;
  readonly #name: string;

  constructor(name: string, field: number, spec: FieldSpec, form: SumForm, counted: boolean) {
    this.#name = name;
    this.#field = field;
    this.form = form;
    this.counted = counted || spec.nullable || spec.optional;
    this.scale = spec.type.kind === "decimal" ? spec.type.scale : 0;
    // Exact integers and decimals are texts in JSON, and so is a default.
    const sum = { ...plain(sumType(form, spec.type)), default: form === "float" || form === "int53" ? 0 : "0" };
    this.accumulators = this.counted ? { sum, count: countStateSpec } : { sum };
  }

  init(columns: readonly Column[], slots: Int32Array, count: number): void {
    const sums = columnAt(columns, 0);
    if (this.form === "decimal") for (let k = 0; k < count; k++) sums.objects[slots[k] as number] = zeroOf(this.scale);
    else {
      for (let k = 0; k < count; k++) sums.numbers[slots[k] as number] = 0;
      if (sums.exact !== null) for (let k = 0; k < count; k++) sums.exact.delete(slots[k] as number);
    }
    if (!this.counted) return;
    const { numbers } = columnAt(columns, 1);
    for (let k = 0; k < count; k++) numbers[slots[k] as number] = 0;
  }

  update(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    this.#add(columns, slots, batch, 1);
  }

  retract(columns: readonly Column[], slots: Int32Array, batch: Batch): void {
    this.#add(columns, slots, batch, -1);
  }

  #add(columns: readonly Column[], slots: Int32Array, batch: Batch, sign: 1 | -1): void {
    const values = batch.rows.column(this.#field);
    const sums = columnAt(columns, 0);
    if (this.counted) addCounts(columnAt(columns, 1).numbers, slots, batch, this.#field, sign);
    if (this.form === "float") addFloats(sums.numbers, slots, values, batch, sign);
    else if (this.form === "decimal") addDecimals(sums, slots, values, batch, sign);
    else if (this.form === "int53") {
      if (!addSafeIntegers(sums.numbers, slots, values, batch, sign)) overflow(this.#name, "a safe integer (2^53 - 1)");
    } else {
      const { selection, count } = batch;
      if (!addInt64(sums, slots, values, selection, count, sign)) overflow(this.#name, "64 bits");
    }
  }

  merge(from: readonly Column[], fromSlots: Int32Array, to: readonly Column[], toSlots: Int32Array, count: number): void {
    const source = columnAt(from, 0);
    const target = columnAt(to, 0);
    if (this.form === "decimal") {
      for (let k = 0; k < count; k++) {
        const slot = toSlots[k] as number;
        target.objects[slot] = (target.objects[slot] as Decimal).add(source.objects[fromSlots[k] as number] as Decimal);
      }
    } else if (this.form === "int64") {
      if (!addInt64(target, toSlots, source, fromSlots, count, 1)) overflow(this.#name, "64 bits");
    } else {
      let largest = 0;
      for (let k = 0; k < count; k++) {
        const slot = toSlots[k] as number;
        const sum = (target.numbers[slot] as number) + (source.numbers[fromSlots[k] as number] as number);
        target.numbers[slot] = sum;
        largest = Math.max(largest, Math.abs(sum));
      }
      if (this.form === "int53" && largest > maxSafe) overflow(this.#name, "a safe integer (2^53 - 1)");
    }
    if (!this.counted) return;
    const counts = columnAt(to, 1).numbers;
    const more = columnAt(from, 1).numbers;
    for (let k = 0; k < count; k++) {
      const slot = toSlots[k] as number;
      counts[slot] = (counts[slot] as number) + (more[fromSlots[k] as number] as number);
    }
  }

  abstract result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void;
}

/** The sum of a field; null where the field is nullable and no row of the group has a value. */
export class Sum extends Sums {
  readonly resultSpec: FieldSpec;

  constructor(name: string, field: number, spec: FieldSpec, form: SumForm) {
    super(name, field, spec, form, false);
    this.resultSpec = plain(sumType(form, spec.type), spec.nullable || spec.optional);
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    const sums = columnAt(columns, 0);
    const counts = this.counted ? columnAt(columns, 1).numbers : null;
    for (let k = 0; k < count; k++) {
      const slot = slots[k] as number;
      if (counts !== null && counts[slot] === 0) writeNull(target, row + k);
      else if (this.form === "decimal") target.objects[row + k] = sums.objects[slot];
      else {
        target.numbers[row + k] = sums.numbers[slot] as number;
        const exact = sums.exact?.get(slot);
        if (exact !== undefined) target.setInt64(row + k, exact);
        else target.exact?.delete(row + k);
      }
    }
  }
}

/**
 * The mean of a field: a number, from an exact sum for integers; for decimals a decimal of at least 6 digits behind the point,
 * rounded half away from zero.
 */
export class Average extends Sums {
  readonly resultSpec: FieldSpec;
  readonly #resultScale: number;

  constructor(name: string, field: number, spec: FieldSpec, form: SumForm) {
    super(name, field, spec, form, true);
    this.#resultScale = Math.max(6, this.scale);
    const type: TypeSpec = form === "decimal" ? { kind: "decimal", precision: 38, scale: this.#resultScale } : { kind: "float64" };
    this.resultSpec = plain(type, spec.nullable || spec.optional);
  }

  result(columns: readonly Column[], slots: Int32Array, count: number, target: Column, row: number): void {
    const sums = columnAt(columns, 0);
    const counts = columnAt(columns, 1).numbers;
    for (let k = 0; k < count; k++) {
      const slot = slots[k] as number;
      const n = counts[slot] as number;
      if (n === 0) writeNull(target, row + k);
      else if (this.form === "decimal") target.objects[row + k] = divide(sums.objects[slot] as Decimal, n, this.#resultScale);
      else {
        const exact = sums.exact?.get(slot);
        target.numbers[row + k] = exact === undefined ? (sums.numbers[slot] as number) / n : divideExact(exact, n);
      }
    }
  }
}

function addFloats(sums: Float64Array, slots: Int32Array, values: Column, batch: Batch, sign: number): void {
  const { selection, count } = batch;
  const { numbers, nulls } = values;
  for (let k = 0; k < count; k++) {
    const row = selection[k] as number;
    if (nulls !== null && nulls[row] !== 0) continue;
    const slot = slots[k] as number;
    sums[slot] = (sums[slot] as number) + sign * (numbers[row] as number);
  }
}

// False where a sum left the safe range.
function addSafeIntegers(sums: Float64Array, slots: Int32Array, values: Column, batch: Batch, sign: number): boolean {
  const { selection, count } = batch;
  const { numbers, nulls } = values;
  let fit = true;
  for (let k = 0; k < count; k++) {
    const row = selection[k] as number;
    if (nulls !== null && nulls[row] !== 0) continue;
    const slot = slots[k] as number;
    const sum = (sums[slot] as number) + sign * (numbers[row] as number);
    sums[slot] = sum;
    if (sum > maxSafe || sum < -maxSafe) fit = false;
  }
  return fit;
}

// Adds values at `rows[0..count)` to the sums of `slots`; false where a sum left 64 bits. Doubles while they are exact.
function addInt64(sums: Column, slots: Int32Array, values: Column, rows: Int32Array, count: number, sign: 1 | -1): boolean {
  const totals = sums.numbers;
  const { numbers, nulls } = values;
  for (let k = 0; k < count; k++) {
    const row = rows[k] as number;
    if (nulls !== null && nulls[row] !== 0) continue;
    const slot = slots[k] as number;
    const total = totals[slot] as number;
    const value = numbers[row] as number;
    const sum = total + sign * value;
    // A column holds an exact value beside every double outside of the safe range, so these three doubles say it all.
    if (sum <= maxSafe && sum >= -maxSafe && total <= maxSafe && total >= -maxSafe && value <= maxSafe && value >= -maxSafe)
      totals[slot] = sum;
    else {
      const exact = sums.getInt64(slot) + BigInt(sign) * values.getInt64(row);
      if (exact > int64Max || exact < int64Min) return false;
      sums.setInt64(slot, exact);
    }
  }
  return true;
}

function addDecimals(sums: Column, slots: Int32Array, values: Column, batch: Batch, sign: number): void {
  const { selection, count } = batch;
  for (let k = 0; k < count; k++) {
    const row = selection[k] as number;
    if (!hasValue(values, row)) continue;
    const slot = slots[k] as number;
    const sum = sums.objects[slot] as Decimal;
    const value = values.objects[row] as Decimal;
    sums.objects[slot] = sign === 1 ? sum.add(value) : sum.subtract(value);
  }
}

// The quotient of a sum beyond 2^53: the whole part and the rest apart, so that only the last step rounds.
function divideExact(sum: bigint, count: number): number {
  const by = BigInt(count);
  return Number(sum / by) + Number(sum % by) / count;
}

function divide(sum: Decimal, count: number, scale: number): Decimal {
  const unscaled = sum.rescale(scale).unscaled;
  const by = BigInt(count);
  const quotient = unscaled / by;
  const rest = unscaled % by;
  const twice = 2n * (rest < 0n ? -rest : rest);
  const away = twice >= (by < 0n ? -by : by) ? (unscaled < 0n === by < 0n ? 1n : -1n) : 0n;
  return new Decimal(quotient + away, scale);
}
