// Window join: rows of two streams with equal keys in the same window, given out when the window closes.
import { MillraceError } from "../../base/errors.ts";
import type { OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import { checkJoinKeys } from "./join-keys.ts";
import type { JoinSides, JoinType } from "./join-output.ts";
import { PaneJoin } from "./pane-join.ts";
import { SessionJoin } from "./session-join.ts";

/** Sizes in ms. Tumbling is sliding by its own size; sessions of a key end `gapMs` after its last row of either side. */
export type JoinWindows =
  | { readonly kind: "tumbling"; readonly sizeMs: number; readonly offsetMs?: number }
  | { readonly kind: "sliding"; readonly sizeMs: number; readonly slideMs: number; readonly offsetMs?: number }
  | { readonly kind: "session"; readonly gapMs: number };

export interface WindowJoinParams<Left = unknown, Right = unknown, Out = unknown> extends JoinSides<Left, Right, Out> {
  readonly leftKey: KeyLayout;
  readonly rightKey: KeyLayout;
  readonly type: JoinType;
  readonly windows: JoinWindows;
  /** How much longer than the watermark says a window waits for late rows, ms; its output's watermark waits as long. Default 0. */
  readonly graceMs?: number;
  /** Side outputs for rows whose windows have closed; they are counted and dropped where there is none. */
  readonly lateLeft?: string;
  readonly lateRight?: string;
}

/**
 * Both inputs are append-only. A window [start, end) closes when the watermark reaches end - 1 + grace; its rows have the time
 * end - 1. Throws WINDOW_INVALID, JOIN_FIELD and JOIN_KEY_MISMATCH.
 */
export function windowJoin<Left, Right, Out>(params: WindowJoinParams<Left, Right, Out>): OperatorFactory {
  const { windows } = params;
  checkJoinKeys(params.leftKey, params.rightKey);
  const plain = params as unknown as WindowJoinParams;
  if (windows.kind === "session") {
    checkSize("gap", windows.gapMs);
    return (context) => new SessionJoin(context, plain, windows.gapMs);
  }
  const slideMs = windows.kind === "tumbling" ? windows.sizeMs : windows.slideMs;
  checkSize("size", windows.sizeMs);
  checkSize("slide", slideMs);
  return (context) => new PaneJoin(context, plain, { sizeMs: windows.sizeMs, slideMs, offsetMs: windows.offsetMs ?? 0 });
}

function checkSize(what: string, valueMs: number): void {
  if (Number.isSafeInteger(valueMs) && valueMs > 0) return;
  throw new MillraceError("WINDOW_INVALID", "window join", `a ${what} of ${valueMs} ms`, "use a whole number of ms above zero");
}
