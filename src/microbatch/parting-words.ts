// What a driver leaves behind when it ends: the report in its termination message, so that the end is known also if nobody was there to ask.
import type { DriverReport } from "../ports/driver-client.ts";
import { driverReport } from "../ports/driver-report.ts";

/** Undefined for a message that is something else, such as the last lines of a log. */
export function reportOfEnded(message: string | undefined, run: number): DriverReport | undefined {
  if (message === undefined || !message.startsWith("{")) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(message);
  } catch {
    // Cut off, or not ours.
    return undefined;
  }
  const says = typeof value === "object" && value !== null && "state" in value && typeof value.state === "string";
  return says ? driverReport(value, {}, run) : undefined;
}
