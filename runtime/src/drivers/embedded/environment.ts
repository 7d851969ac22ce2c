// The configuration of an application from the environment: what the operator gives to its pods.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
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
    terminationLog: text("TERMINATION_LOG"),
    kafka: kafkaOf(text),
    http:
      port === undefined
        ? undefined
        : withoutUndefined({
            port,
            queryPort: whole("QUERY_PORT"),
            host: text("HTTP_HOST"),
            advertisedUrl: text("HTTP_URL"),
            token: tokenFile === undefined ? undefined : () => tokenOf(tokenFile),
          }),
  }) as EmbeddedConfig;
}

// How the operator says where Kafka is: `MILLRACE_KAFKA_TLS` is `system` for the system's authorities, else a folder with ca.crt, and maybe tls.crt and tls.key.
function kafkaOf(text: (name: string) => string | undefined): EmbeddedConfig["kafka"] {
  const bootstrapServers = text("KAFKA_BROKERS");
  if (bootstrapServers === undefined) return undefined;
  const folder = text("KAFKA_TLS");
  const mechanism = text("KAFKA_SASL_MECHANISM")?.toUpperCase();
  if (mechanism !== undefined && mechanism !== "PLAIN" && mechanism !== "SCRAM-SHA-256" && mechanism !== "SCRAM-SHA-512")
    throw invalid("KAFKA_SASL_MECHANISM", `"${mechanism}" is not known`, "use plain, scram-sha-256 or scram-sha-512");
  return {
    bootstrapServers,
    ...(folder === undefined ? {} : { tls: folder === "system" ? true : tlsOf(folder) }),
    ...(mechanism === undefined
      ? {}
      : { sasl: { mechanism, username: text("KAFKA_SASL_USERNAME") ?? "", password: text("KAFKA_SASL_PASSWORD") ?? "" } }),
  };
}

function tlsOf(folder: string): object {
  const files = [
    ["caFile", "ca.crt"],
    ["certFile", "tls.crt"],
    ["keyFile", "tls.key"],
  ] as const;
  return Object.fromEntries(files.map(([option, name]) => [option, join(folder, name)]).filter(([, path]) => existsSync(path ?? "")));
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
