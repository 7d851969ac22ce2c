// What a slot's thread and its process say to each other.
import type { MessagePort } from "node:worker_threads";
import type { SliceStatus, SlotCommand, SlotEvent } from "../slot-protocol.ts";

export type ToThread =
  | { readonly kind: "command"; readonly command: SlotCommand }
  | { readonly kind: "status"; readonly request: number }
  | { readonly kind: "profile"; readonly request: number; readonly durationMs: number }
  /** Another slot of the process has made a connection. */
  | { readonly kind: "wire"; readonly wire: MessagePort }
  | { readonly kind: "close" };

export type FromThread =
  /** Its exchange server listens. */
  | { readonly kind: "ready"; readonly port: number }
  | { readonly kind: "event"; readonly event: SlotEvent }
  | { readonly kind: "status"; readonly request: number; readonly status: readonly SliceStatus[] }
  | { readonly kind: "profile"; readonly request: number; readonly profile?: object; readonly problem?: string }
  /** Connects to the slot of this process whose exchange server has this port. */
  | { readonly kind: "dial"; readonly port: number; readonly wire: MessagePort };
