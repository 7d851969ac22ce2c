// The operator's log: one JSON object a line, a constant message and fields.
import type { Log, LogFields } from "../ports/machine.ts";
import type { LogLevel } from "./config.ts";

const order: readonly LogLevel[] = ["debug", "info", "warn", "error"];

export function jsonLog(level: LogLevel, write: (line: string) => void, now: () => number): Log {
  const log =
    (its: LogLevel) =>
    (message: string, fields: LogFields): void => {
      if (order.indexOf(its) < order.indexOf(level)) return;
      write(`${JSON.stringify({ time: new Date(now()).toISOString(), level: its, message, ...fields })}\n`);
    };
  return { debug: log("debug"), info: log("info"), warn: log("warn"), error: log("error") };
}
