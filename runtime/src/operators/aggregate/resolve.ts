// From aggregate calls over rows of a schema to the functions that compute them; every mistake in a call is found here.
import { MillraceError } from "../../base/errors.ts";
import type { Schema, SchemaField } from "../../core/schema/schema.ts";
import type { AggregateFunction } from "./aggregate.ts";
import { AggregateSet } from "./aggregate-set.ts";
import type { AggregateCall, AggregateCalls, AggregateKind } from "./call.ts";
import { Collect, StringAggregate } from "./collect.ts";
import { Count } from "./count.ts";
import { Custom } from "./custom.ts";
import { CollectSet, CountDistinct } from "./distinct.ts";
import { CountDistinctApproximate } from "./distinct-approximate.ts";
import { type Direction, Extreme } from "./extreme.ts";
import { ExtremeBy, type ExtremeByRule, RetractingExtremeBy } from "./extreme-by.ts";
import { RetractingExtreme } from "./extreme-retracting.ts";
import { defaultValueLimit } from "./multiset.ts";
import { defaultAccuracy, Percentile } from "./percentile.ts";
import { isDistinguishable, isOrdered } from "./scalar.ts";
import { Average, Sum, sumForm } from "./sum.ts";

type Call = AggregateCall<AggregateKind, string, string, unknown, never>;

export interface ResolveOptions {
  /** True where the input takes rows back (update-before, delete). */
  readonly retracting?: boolean;
}

/**
 * The functions of `calls` over rows of `input`, with their accumulator and result schemas.
 * Throws SCHEMA_FIELD_UNKNOWN, AGGREGATE_FIELD_TYPE, AGGREGATE_OPTION, AGGREGATE_NOT_RETRACTABLE or AGGREGATE_NONE.
 */
export function resolveAggregates(input: Schema, calls: AggregateCalls, options: ResolveOptions = {}): AggregateSet {
  const retracting = options.retracting ?? false;
  const names = Object.keys(calls);
  if (names.length === 0)
    throw new MillraceError("AGGREGATE_NONE", "aggregate", "it has no calls", "name at least one result, for example { n: count() }");
  const functions = new Map<string, AggregateFunction>();
  for (const name of names) functions.set(name, resolveCall(input, name, calls[name] as Call, retracting));
  return new AggregateSet(functions, retracting);
}

/** The calls as JSON for a plan; a custom aggregate shows its types, its functions stay with the job's code. */
export function aggregatesJson(calls: AggregateCalls): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(calls).map(([name, call]) => {
      const { custom, ...rest } = call as Call;
      if (custom === undefined) return [name, rest];
      return [name, { ...rest, state: custom.state.spec, returns: custom.returns.spec, retracts: custom.retract !== undefined }];
    }),
  );
}

function resolveCall(input: Schema, name: string, call: Call, retracting: boolean): AggregateFunction {
  switch (call.kind) {
    case "count":
      if (call.field === undefined) return new Count();
      return countOf(input.field(call.field));
    case "sum":
      return sumOf(name, valueOf(input, call));
    case "avg":
      return averageOf(name, valueOf(input, call));
    case "min":
      return extremeOf(name, fieldOf(input, call), -1, retracting, call.orNull);
    case "max":
      return extremeOf(name, fieldOf(input, call), 1, retracting, call.orNull);
    case "countDistinct": {
      const field = distinguishable(name, fieldOf(input, call));
      return new CountDistinct(name, field.index, limitOf(name, call), retracting);
    }
    case "collectSet": {
      const field = distinguishable(name, fieldOf(input, call));
      return new CollectSet(name, field.index, field.spec, limitOf(name, call), retracting);
    }
    case "countDistinctApprox":
      if (retracting) refuseRetractions(name, call.kind, "countDistinct");
      return new CountDistinctApproximate(distinguishable(name, fieldOf(input, call)).index);
    case "percentile":
      return percentileOf(name, valueOf(input, call), call);
    case "collect": {
      const field = fieldOf(input, call);
      return new Collect(name, field.index, field.spec, limitOf(name, call));
    }
    case "stringAgg": {
      const field = valueOf(input, call);
      if (field.column !== "text") refuseType(name, field, "stringAgg joins texts", "string or enumeration");
      return new StringAggregate(name, field.index, field.spec, limitOf(name, call), call.separator ?? ",");
    }
    case "first":
    case "last":
    case "minBy":
    case "maxBy":
      return extremeByOf(name, ruleOf(input, name, call), retracting);
    case "custom":
      if (call.custom === undefined)
        throw new MillraceError("AGGREGATE_OPTION", `aggregate "${name}"`, "it has no functions", "make it with custom({ ... })");
      if (retracting && call.custom.retract === undefined) refuseRetractions(name, call.kind, "custom with a retract function");
      return new Custom(name, input, call.custom);
  }
}

function fieldOf(input: Schema, call: Call): SchemaField {
  return input.field(call.field ?? "");
}

/** The field as one that may be null, where the call asks for null results: what the aggregates keep does not lose by it. */
function valueOf(input: Schema, call: Call): SchemaField {
  const field = fieldOf(input, call);
  return call.orNull === true ? { ...field, spec: { ...field.spec, nullable: true } } : field;
}

// A field that always has a value need not be read to be counted.
function countOf(field: SchemaField): Count {
  return new Count(field.spec.nullable || field.spec.optional ? field.index : -1);
}

function sumOf(name: string, field: SchemaField): Sum {
  const form = sumForm(field.spec.type, false);
  if (form === undefined) refuseType(name, field, "it has no sum", "number or decimal");
  return new Sum(name, field.index, field.spec, form);
}

function averageOf(name: string, field: SchemaField): Average {
  const form = sumForm(field.spec.type, true);
  if (form === undefined) refuseType(name, field, "it has no mean", "number or decimal");
  return new Average(name, field.index, field.spec, form);
}

function extremeOf(name: string, field: SchemaField, direction: Direction, retracting: boolean, orNull = false): AggregateFunction {
  const { index, spec } = field;
  if (!isOrdered(spec.type)) refuseType(name, field, "its values have no order", "scalar");
  if (retracting) return new RetractingExtreme(name, index, orNull ? { ...spec, nullable: true } : spec, direction);
  return new Extreme(index, spec, field.column === "number", direction, orNull);
}

function distinguishable(name: string, field: SchemaField): SchemaField {
  if (!isDistinguishable(field.spec.type)) refuseType(name, field, "its values are not compared", "scalar");
  return field;
}

function percentileOf(name: string, field: SchemaField, call: Call): Percentile {
  if (sumForm(field.spec.type, false) === undefined) refuseType(name, field, "it has no percentiles", "number or decimal");
  const { fraction = Number.NaN, accuracy = defaultAccuracy } = call;
  if (!(fraction >= 0 && fraction <= 1)) refuseOption(name, `a percentile of ${fraction}`, "give a fraction between 0 and 1, such as 0.99");
  if (!(accuracy >= 0.0001 && accuracy <= 0.5))
    refuseOption(name, `an accuracy of ${accuracy}`, "give a relative error between 0.0001 and 0.5");
  return new Percentile(field.index, field.spec, fraction, accuracy);
}

function ruleOf(input: Schema, name: string, call: Call): ExtremeByRule {
  const { index, spec } = valueOf(input, call);
  if (call.kind === "first") return { field: index, spec, by: null, direction: -1, lastWins: false };
  if (call.kind === "last") return { field: index, spec, by: null, direction: 1, lastWins: true };
  const by = input.field(call.by ?? "");
  if (!isOrdered(by.spec.type)) refuseType(name, by, "its values have no order", "scalar");
  return { field: index, spec, by: { index: by.index, spec: by.spec }, direction: call.kind === "minBy" ? -1 : 1, lastWins: false };
}

function extremeByOf(name: string, rule: ExtremeByRule, retracting: boolean): AggregateFunction {
  return retracting ? new RetractingExtremeBy(name, rule) : new ExtremeBy(rule);
}

function limitOf(name: string, call: Call): number {
  const { limit = defaultValueLimit } = call;
  if (!Number.isSafeInteger(limit) || limit < 1) refuseOption(name, `a limit of ${limit}`, "give a positive whole number");
  return limit;
}

function refuseType(name: string, field: SchemaField, why: string, wanted: string): never {
  throw new MillraceError(
    "AGGREGATE_FIELD_TYPE",
    `aggregate "${name}"`,
    `field "${field.name}" is a ${field.spec.type.kind}, and ${why}`,
    `use a ${wanted} field, or map the field to one first`,
  );
}

function refuseOption(name: string, what: string, next: string): never {
  throw new MillraceError("AGGREGATE_OPTION", `aggregate "${name}"`, `${what} is not possible`, next);
}

function refuseRetractions(name: string, kind: string, instead: string): never {
  throw new MillraceError(
    "AGGREGATE_NOT_RETRACTABLE",
    `aggregate "${name}"`,
    `its input takes rows back, which ${kind} cannot follow`,
    `use ${instead}, or aggregate an append-only stream`,
  );
}
