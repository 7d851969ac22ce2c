// What travels between a TaskManager and a JobManager: one JSON text per message, over one connection that the TaskManager opens.
import { MillraceError } from "../../../base/errors.ts";
import type { OfferedSlot } from "../coordinator/slot-pool.ts";
import type { RegisteredSlice } from "../coordinator/types.ts";
import type { SlotCommand, SlotEvent } from "../slot-protocol.ts";

export const protocolVersion = 1;
/** Acks carry small states inline; nothing comes near this. */
export const maxMessageBytes: number = 64 * 1024 * 1024;

/** Of a TaskManager; `sequence` numbers what is kept until a leader has taken it. */
export type WorkerMessage =
  | {
      readonly kind: "hello";
      readonly version: number;
      readonly job: string;
      readonly run: number;
      readonly taskManagerId: string;
      /** The highest epoch that it has served. */
      readonly epoch: number;
      readonly slots: readonly OfferedSlot[];
      readonly slices: readonly RegisteredSlice[];
    }
  | { readonly kind: "event"; readonly sequence?: number; readonly index: number; readonly event: SlotEvent }
  | { readonly kind: "slotDied"; readonly sequence: number; readonly index: number; readonly incarnation: number; readonly reason: string }
  | { readonly kind: "slotBack"; readonly sequence: number; readonly slot: OfferedSlot }
  | { readonly kind: "profile"; readonly requestId: number; readonly profile?: object; readonly failure?: string }
  | { readonly kind: "goodbye"; readonly reason: string };

/** Of a leader. */
export type LeaderMessage =
  | { readonly kind: "welcome"; readonly epoch: number }
  /** `leader`: where the one that leads listens, when this one knows. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string; readonly leader?: string }
  | { readonly kind: "command"; readonly index: number; readonly incarnation: number; readonly command: SlotCommand }
  | { readonly kind: "resetSlot"; readonly index: number }
  /** Everything up to this number has been taken and need not be kept. */
  | { readonly kind: "taken"; readonly sequence: number }
  | { readonly kind: "profile"; readonly requestId: number; readonly index: number; readonly durationMs: number };

/** The message in a text; throws RPC_MESSAGE for anything that is none. */
export function decodeMessage<M extends { readonly kind: string }>(text: string, from: string): M {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badMessage(from);
  }
  if (typeof value !== "object" || value === null || !("kind" in value) || typeof value.kind !== "string") throw badMessage(from);
  return value as M;
}

function badMessage(from: string): MillraceError {
  return new MillraceError(
    "RPC_MESSAGE",
    from,
    "sent something that is no message",
    "check that the port is the RPC port of a JobManager of this version",
  );
}
