// Builds the join nodes of the DSL.
import { parseDuration } from "../base/duration.ts";
import { MillraceError } from "../base/errors.ts";
import { keyLayout } from "../core/keys/key-layout.ts";
import type { OperatorFactory } from "../core/operator/operator.ts";
import type { ChangelogMode } from "../core/ports/sink.ts";
import type { TimeToLive } from "../core/ports/state.ts";
import type { Schema } from "../core/schema/schema.ts";
import { intervalJoin } from "../operators/join/interval-join.ts";
import { joinFields } from "../operators/join/join-fields.ts";
import type { JoinSides, JoinType } from "../operators/join/join-output.ts";
import { lookupJoin } from "../operators/join/lookup-join.ts";
import { regularJoin } from "../operators/join/regular-join.ts";
import { temporalJoin } from "../operators/join/temporal-join.ts";
import { windowJoin } from "../operators/join/window-join.ts";
import type { SessionWindow, SlidingWindow, TumblingWindow } from "../operators/window/window-spec.ts";
import type { JoinFunction, JoinPrefixes } from "./join-types.ts";
import { requireInserts } from "./changelogs.ts";
import { type OperatorOptions, type StreamRef, addNode, hashInput } from "./stream-ref.ts";

/** One keyed side of a join. */
export interface JoinSide {
  readonly ref: StreamRef;
  readonly fields: readonly string[];
}

export type JoinShape = JoinPrefixes<string, string> | JoinFunction<never, never, unknown>;

export type JoinKind =
  | { readonly kind: "window"; readonly window: TumblingWindow | SlidingWindow | SessionWindow; readonly graceMs: number }
  | { readonly kind: "interval"; readonly lowerMs: number; readonly upperMs: number }
  | { readonly kind: "temporal" }
  | { readonly kind: "lookup" }
  | {
      readonly kind: "regular";
      readonly ttlMs: number | undefined;
      readonly leftUnique: readonly string[] | undefined;
      readonly rightUnique: readonly string[] | undefined;
    };

/** Adds the join and returns its output. */
export function addJoin(
  left: JoinSide,
  right: JoinSide,
  type: JoinType,
  how: JoinKind,
  shape: JoinShape,
  options: OperatorOptions,
): StreamRef {
  checkInputs(left, right, how);
  const sides = joinSides(left, right, type, shape);
  const create = joinFactory(left, right, type, how, sides);
  const changelog = how.kind === "regular" ? regularChangelog(left, right, type) : left.ref.changelog;
  return addNode(
    left.ref.graph,
    {
      kind: `join.${how.kind}`,
      inputs: [hashInput(left.ref, left.fields), hashInput(right.ref, right.fields)],
      schema: sides.output,
      sideSchemas: new Map(lateSides[how.kind].map((name) => [name, name === "lateLeft" ? left.ref.schema : right.ref.schema])),
      changelog,
      stateful: true,
      options: { ...how, type },
      reads: "select" in shape ? [null, null] : [fieldNames(left.ref.schema), fieldNames(right.ref.schema)],
      body: { kind: "operator", create, keyed: true },
    },
    options,
  );
}

function checkInputs(left: JoinSide, right: JoinSide, how: JoinKind): void {
  if (how.kind === "regular") {
    refuseUnfoundUpserts(left, how.leftUnique);
    refuseUnfoundUpserts(right, how.rightUnique);
  } else if (how.kind === "window" || how.kind === "interval") {
    for (const side of [left, right]) requireInserts(side.ref, how.kind === "window" ? "joinWindow" : "joinInterval");
  }
}

// Rows are taken back by their values, and an upsert does not say what it replaces; by a unique key its row is found, as long as the
// row stays with the same key of the join.
function refuseUnfoundUpserts({ ref, fields }: JoinSide, unique: readonly string[] | undefined): void {
  if (ref.changelog !== "upsert" || (unique !== undefined && fields.every((field) => unique.includes(field)))) return;
  throw new MillraceError(
    "PLAN_JOIN_UPSERT",
    `join with "${ref.node.uid}"`,
    "it gives upserts",
    "add .keyBy(...).toTable() before the join, or name the side's primary key (leftUnique, rightUnique) if the join's fields are part of it",
  );
}

const lateSides: Readonly<Record<JoinKind["kind"], readonly ("lateLeft" | "lateRight")[]>> = {
  window: ["lateLeft", "lateRight"],
  interval: ["lateLeft", "lateRight"],
  temporal: ["lateLeft"],
  lookup: [],
  regular: [],
};

// A pair once given out stays as long as both rows do, and so does a left row with a match; rows that are only inserted always stay.
function regularChangelog(left: JoinSide, right: JoinSide, type: JoinType): ChangelogMode {
  const inserts = left.ref.changelog === "append" && right.ref.changelog === "append";
  return inserts && (type === "inner" || type === "semi") ? "append" : "retract";
}

export function fieldNames(schema: Schema): readonly string[] {
  return schema.fields.map((field) => field.name);
}

/** The schemas of a join, and what makes its rows. */
export function joinSides(left: JoinSide, right: JoinSide, type: JoinType, shape: JoinShape): JoinSides {
  const schemas = { left: left.ref.schema, right: right.ref.schema };
  if ("select" in shape) {
    const fn = shape.select as (left: unknown, right: unknown) => unknown;
    return { ...schemas, output: shape.output, select: { kind: "function", fn: (a, b) => fn(a, b) } };
  }
  const { output, fields } = joinFields(schemas.left, schemas.right, type, shape);
  return { ...schemas, output, select: { kind: "fields", fields } };
}

function joinFactory(left: JoinSide, right: JoinSide, type: JoinType, how: JoinKind, sides: JoinSides): OperatorFactory {
  const keys = { leftKey: keyLayout(left.ref.schema, left.fields), rightKey: keyLayout(right.ref.schema, right.fields) };
  const late = { lateLeft: "lateLeft", lateRight: "lateRight" };
  switch (how.kind) {
    case "window":
      return windowJoin({ ...sides, ...keys, ...late, type, windows: how.window, graceMs: how.graceMs });
    case "interval":
      return intervalJoin({ ...sides, ...keys, ...late, type: type as "inner", lowerMs: how.lowerMs, upperMs: how.upperMs });
    case "temporal":
      return temporalJoin({ ...sides, ...keys, type: type as "inner", lateLeft: late.lateLeft });
    case "lookup":
      return lookupJoin({ ...sides, ...keys, type: type as "inner" });
    case "regular": {
      const ttl = how.ttlMs === undefined ? undefined : ({ ttlMs: how.ttlMs, time: "processing", refresh: "write" } satisfies TimeToLive);
      return regularJoin({
        ...sides,
        ...keys,
        type,
        ...(ttl === undefined ? {} : { leftTtl: ttl, rightTtl: ttl }),
        ...(how.leftUnique === undefined ? {} : { leftUnique: keyLayout(left.ref.schema, how.leftUnique) }),
        ...(how.rightUnique === undefined ? {} : { rightUnique: keyLayout(right.ref.schema, how.rightUnique) }),
      });
    }
  }
}

/** A duration of an interval bound; numbers may be negative. */
export function intervalBound(value: number | string, option: string): number {
  return typeof value === "number" ? value : parseDuration(value, option);
}
