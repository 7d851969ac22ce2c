// Foreign-key join of two tables: each row of the left table with the row of the right one that a field of it refers to.
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { JoinSides } from "./join-output.ts";
import { regularJoin } from "./regular-join.ts";

export interface ForeignKeyJoinParams<Left = unknown, Right = unknown, Out = unknown> extends JoinSides<Left, Right, Out> {
  /** The left table's reference to the right one: input 0 is exchanged by it. */
  readonly leftReference: KeyLayout;
  /** The left table's primary key. */
  readonly leftPrimary: KeyLayout;
  /** The right table's primary key: input 1 is exchanged by it. */
  readonly rightPrimary: KeyLayout;
  readonly type: "inner" | "left";
}

/**
 * A change of a right row changes the result of all left rows that refer to it. The left changelog must retract (`upsertToRetract`
 * makes it so): when a reference changes, the old result is taken back where the old reference leads. These two places are not
 * ordered among each other, so the result, read by the left table's key, goes through `materialize` before a sink that upserts.
 */
export function foreignKeyJoin<Left, Right, Out>(params: ForeignKeyJoinParams<Left, Right, Out>): OperatorFactory {
  const { leftReference, leftPrimary, rightPrimary, ...sides } = params;
  return regularJoin({ ...sides, leftKey: leftReference, rightKey: rightPrimary, leftUnique: leftPrimary, rightUnique: rightPrimary });
}
