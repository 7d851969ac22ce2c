// Starts the slots of a process, each a thread that loads the job's module for itself.
import type { OpenSlot } from "../../drivers/cluster/slot-runner.ts";
import { slotThreads } from "../../drivers/cluster/slot/slot-thread.ts";
import type { SlotThreadConfig } from "./slot-config.ts";

/** `host` is where the exchange servers listen and where other processes find them. */
export function openSlots(config: SlotThreadConfig, host: string): OpenSlot {
  // The same module, as source or compiled, as this one is.
  const entry = new URL(import.meta.url.endsWith(".ts") ? "slot-entry.ts" : "slot-entry.js", import.meta.url);
  return slotThreads({ entry, host, data: { ...config } });
}
