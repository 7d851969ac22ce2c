// The configuration of an application from the environment: what the operator gives to its pods.
import { readFileSync } from "node:fs";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { EmbeddedConfig } from "./config.ts";

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * Reads the MILLRACE_ variables that docs/reference/embedded-rest.md lists; those that are not there, or are empty, are left to the defaults. Throws
 * OPTION_INVALID, naming the variable.
 */
export function environmentConfig(env: Environment = process.env): EmbeddedConfig {
  const text = (name: string): string | undefined => env[`MILLRACE_${name}`] || undefined;
  const whole = (name: string): number | undefined => {
    const value = text(name);
    if (value !== undefined && !/^\d+$/.test(value)) throw invalid(name, `"${value}" is no whole number`, "write it in digits");
    return value === undefined ? undefined : Number(value);
  };
  const port = whole("HTTP_PORT");
  const tokenFile = text("TOKEN_FILE");
  const delivery = text("DELIVERY");
  if (delivery !== undefined && delivery !== "exactly-once" && delivery !== "at-least-once")
    throw invalid("DELIVERY", `"${delivery}" is not known`, "use exactly-once or at-least-once");
  return withoutUndefined({
    applicationId: text("APPLICATION_ID"),
    parameters: parametersOf(text("PARAMETERS")),
    delivery,
    instanceId: text("INSTANCE_ID"),
    rack: text("RACK"),
    stateDirectory: text("STATE_DIRECTORY"),
    standbys: whole("STANDBYS"),
    sessionTimeoutMs: whole("SESSION_TIMEOUT_MS"),
    deadLetterTopic: text("DEAD_LETTER_TOPIC"),
    savepointStorage: text("SAVEPOINT_STORAGE"),
    fromSavepoint: text("FROM_SAVEPOINT"),
    restoreId: text("RESTORE_ID"),
    http:
      port === undefined
        ? undefined
        : withoutUndefined({
            port,
            host: text("HTTP_HOST"),
            token: tokenFile === undefined ? undefined : () => tokenOf(tokenFile),
          }),
  }) as EmbeddedConfig;
}

function parametersOf(text: string | undefined): Readonly<Record<string, string>> | undefined {
  if (text === undefined) return undefined;
  try {
    const read = JSON.parse(text) as unknown;
    if (typeof read === "object" && read !== null && Object.values(read).every((value) => typeof value === "string"))
      return read as Readonly<Record<string, string>>;
  } catch (error) {
    throw invalid("PARAMETERS", messageOf(error), "write a JSON object of texts");
  }
  throw invalid("PARAMETERS", "is no object of texts", "write a JSON object of texts");
}

function tokenOf(path: string): string {
  try {
    return readFileSync(path, "utf8").trim();
  } catch (cause) {
    throw new MillraceError("TOKEN_FILE", path, messageOf(cause), "mount the Secret, or leave the token file out", { cause });
  }
}

function withoutUndefined(object: object): object {
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined));
}

function invalid(name: string, problem: string, next: string): MillraceError {
  return new MillraceError("OPTION_INVALID", `MILLRACE_${name}`, problem, next);
}
