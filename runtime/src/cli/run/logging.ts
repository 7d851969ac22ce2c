// The log of a command: JSON lines by pino, or short lines for a person.
import type { Log, LogFields } from "../../base/log.ts";

export type LogFormat = "json" | "text";
const levels = ["debug", "info", "warn", "error"] as const;
export type LogLevel = (typeof levels)[number];

// Whatever a configuration holds under such a name never reaches a log.
const secretName = /password|secret|token|credential|authorization/i;

/** A log that writes JSON lines to standard output (by pino), or text to standard error through `print`. */
export async function openLog(format: LogFormat, level: LogLevel, print: (line: string) => void): Promise<Log> {
  if (format === "text") return textLog(level, {}, print);
  const { pino } = await import("pino");
  const logger = pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    messageKey: "message",
    formatters: { level: (label) => ({ level: label }) },
  });
  return jsonLog(logger);
}

interface LevelledLogger {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
  child(fields: object): LevelledLogger;
}

function jsonLog(logger: LevelledLogger): Log {
  return {
    debug: (message, fields) => logger.debug(withoutSecrets(fields), message),
    info: (message, fields) => logger.info(withoutSecrets(fields), message),
    warn: (message, fields) => logger.warn(withoutSecrets(fields), message),
    error: (message, fields) => logger.error(withoutSecrets(fields), message),
    child: (fields) => jsonLog(logger.child(withoutSecrets(fields))),
  };
}

function textLog(level: LogLevel, context: LogFields, print: (line: string) => void): Log {
  const from = levels.indexOf(level);
  const write = (at: LogLevel, message: string, fields: LogFields = {}): void => {
    if (levels.indexOf(at) < from) return;
    const shown = Object.entries(withoutSecrets({ ...context, ...fields }))
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => `${name}=${typeof value === "string" ? value : (JSON.stringify(value) ?? "")}`);
    print(
      `${new Date().toISOString().slice(11, 23)} ${at === "info" ? "" : `${at.toUpperCase()} `}${message}${shown.length === 0 ? "" : `  ${shown.join(" ")}`}`,
    );
  };
  return {
    debug: (message, fields) => write("debug", message, fields),
    info: (message, fields) => write("info", message, fields),
    warn: (message, fields) => write("warn", message, fields),
    error: (message, fields) => write("error", message, fields),
    child: (fields) => textLog(level, { ...context, ...fields }, print),
  };
}

function withoutSecrets(fields: LogFields = {}): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, secretName.test(name) ? "[secret]" : value]));
}
