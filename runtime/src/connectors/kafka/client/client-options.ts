// How to reach a Kafka cluster: checked and completed once, before anything connects.
import { readFileSync } from "node:fs";
import type { ConnectionOptions as TlsConnectionOptions } from "node:tls";
import { MillraceError, messageOf } from "../../../base/errors.ts";
import { integerOption, refuseUnknownOptions } from "../../../base/options.ts";
import type { SaslCredentials, SaslMechanism } from "./sasl.ts";

/** TLS towards the brokers. PEM texts, or files with them. Without `ca` the system's authorities are trusted. */
export interface KafkaTls {
  readonly ca?: string;
  readonly caFile?: string;
  readonly cert?: string;
  readonly certFile?: string;
  readonly key?: string;
  readonly keyFile?: string;
  readonly keyPassphrase?: string;
  /** The name to check the certificate against, where it is not the broker's host. */
  readonly serverName?: string;
  /** Accepts any certificate; for tests only. Default false. */
  readonly insecure?: boolean;
}

/** The connection options that sources and sinks share. */
export interface KafkaConnectionOptions {
  /** `host:port`, one or several; the others of the cluster are found through them. */
  readonly bootstrapServers: string | readonly string[];
  /** Names this client in the broker's logs and quotas. Default `millrace`. */
  readonly clientId?: string;
  readonly tls?: boolean | KafkaTls;
  readonly sasl?: SaslCredentials;
  /** Default 10 s. */
  readonly connectTimeoutMs?: number;
  /** After this an unanswered request breaks the connection. Default 30 s. */
  readonly requestTimeoutMs?: number;
  /** For how long a failing request is repeated before it is an error. Default 60 s. */
  readonly retryTimeoutMs?: number;
}

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

export interface ClientOptions {
  readonly bootstrap: readonly BrokerAddress[];
  /** The bootstrap servers as text: the subject of errors. */
  readonly subject: string;
  readonly clientId: string;
  readonly tls: TlsConnectionOptions | undefined;
  readonly sasl: SaslCredentials | undefined;
  readonly connectTimeoutMs: number;
  readonly requestTimeoutMs: number;
  readonly retryTimeoutMs: number;
}

const defaultPort = 9092;
const maxTimeoutMs = 24 * 3_600_000;
const tlsNames = ["ca", "caFile", "cert", "certFile", "key", "keyFile", "keyPassphrase", "serverName", "insecure"];
/** The names of `KafkaConnectionOptions`, for checks of unknown ones. */
export const connectionOptionNames: readonly string[] = [
  "bootstrapServers",
  "clientId",
  "tls",
  "sasl",
  "connectTimeoutMs",
  "requestTimeoutMs",
  "retryTimeoutMs",
];
const mechanisms: readonly SaslMechanism[] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

/** Throws OPTION_INVALID naming the option. */
export function clientOptions(options: KafkaConnectionOptions): ClientOptions {
  const servers = typeof options.bootstrapServers === "string" ? options.bootstrapServers.split(",") : options.bootstrapServers;
  const bootstrap = servers.map((server) => address(server.trim()));
  if (bootstrap.length === 0) throw invalid("bootstrapServers", "names no server", "give host:port of one or more brokers");
  if (options.sasl !== undefined && !mechanisms.includes(options.sasl.mechanism)) {
    throw invalid("sasl.mechanism", `"${options.sasl.mechanism}" is not known`, `use one of ${mechanisms.join(", ")}`);
  }
  return {
    bootstrap,
    subject: servers.join(","),
    clientId: options.clientId ?? "millrace",
    tls: tlsOptions(options.tls),
    sasl: options.sasl,
    connectTimeoutMs: integerOption("kafka", "connectTimeoutMs", options.connectTimeoutMs, 10_000, 1, maxTimeoutMs),
    requestTimeoutMs: integerOption("kafka", "requestTimeoutMs", options.requestTimeoutMs, 30_000, 1, maxTimeoutMs),
    retryTimeoutMs: integerOption("kafka", "retryTimeoutMs", options.retryTimeoutMs, 60_000, 0, maxTimeoutMs),
  };
}

/** The options as the plan prints them: no secret among them. */
export function printableOptions(options: KafkaConnectionOptions): Readonly<Record<string, unknown>> {
  const { bootstrapServers, clientId, tls, sasl } = options;
  return {
    bootstrapServers: typeof bootstrapServers === "string" ? bootstrapServers : bootstrapServers.join(","),
    ...(clientId === undefined ? {} : { clientId }),
    ...(tls === undefined || tls === false ? {} : { tls: true }),
    ...(sasl === undefined ? {} : { sasl: { mechanism: sasl.mechanism, username: sasl.username } }),
  };
}

export function invalid(option: string, problem: string, next: string): MillraceError {
  return new MillraceError("OPTION_INVALID", `kafka option "${option}"`, problem, next);
}

function address(server: string): BrokerAddress {
  const match = /^(?:\[([^\]]+)\]|([^:\s]+))(?::(\d{1,5}))?$/.exec(server);
  const port = Number(match?.[3] ?? defaultPort);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port < 1 || port > 65_535) {
    throw invalid("bootstrapServers", `"${server}" is not host:port`, "give for example kafka-0.kafka:9092");
  }
  return { host, port };
}

function tlsOptions(tls: boolean | KafkaTls | undefined): TlsConnectionOptions | undefined {
  if (tls === undefined || tls === false) return undefined;
  if (tls === true) return {};
  refuseUnknownOptions("kafka tls", tls, tlsNames);
  const ca = tls.ca ?? fileOf(tls.caFile, "tls.caFile");
  const cert = tls.cert ?? fileOf(tls.certFile, "tls.certFile");
  const key = tls.key ?? fileOf(tls.keyFile, "tls.keyFile");
  if ((cert === undefined) !== (key === undefined))
    throw invalid("tls", "has a client certificate without its key, or a key without one", "give both or neither");
  return {
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(tls.keyPassphrase === undefined ? {} : { passphrase: tls.keyPassphrase }),
    ...(tls.serverName === undefined ? {} : { servername: tls.serverName }),
    ...(tls.insecure === true ? { rejectUnauthorized: false } : {}),
  };
}

function fileOf(path: string | undefined, option: string): string | undefined {
  if (path === undefined) return undefined;
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new MillraceError("OPTION_INVALID", `kafka option "${option}"`, messageOf(cause), "give a PEM file that this process may read", {
      cause,
    });
  }
}
