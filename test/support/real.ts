// How tests of the project `real` find their Kafka and S3: from the environment, else from what `hack/kafka up` and `hack/s3 up` recorded.
//
// MILLRACE_TEST_KAFKA=host:port[,host:port]                      a Kafka of one's own, in place of the recorded one
// MILLRACE_TEST_S3_ENDPOINT, MILLRACE_TEST_S3_KEY,
// MILLRACE_TEST_S3_SECRET [, MILLRACE_TEST_S3_REGION, _BUCKET]   an S3 server of one's own
// MILLRACE_TEST_POSTGRES=postgres://user:password@host:port/name a PostgreSQL of one's own
// MILLRACE_SERVERS                                               the folder of recorded servers, if not .cache/run
//
// A test without its server throws here and so fails; nothing is skipped.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const repository = fileURLToPath(new URL("../..", import.meta.url));
const environment = (name: string): string | undefined => process.env[name] || undefined;

export interface RealKafka {
  /** `host:port` of each broker, without encryption or login. */
  readonly bootstrap: readonly string[];
}

/** Listeners with encryption or login, and what opens them. */
export interface SecureKafka {
  /** SASL_PLAINTEXT. */
  readonly sasl: readonly string[];
  /** SSL, certificate by the authority in `ca`. */
  readonly tls: readonly string[];
  /** SASL_SSL. */
  readonly saslTls: readonly string[];
  /** SSL that demands the client's certificate. */
  readonly mutualTls: readonly string[];
  readonly mechanisms: readonly string[];
  readonly username: string;
  readonly password: string;
  /** PEM texts. */
  readonly ca: string;
  readonly clientCertificate: string;
  readonly clientKey: string;
}

export interface RealS3 {
  readonly endpoint: string;
  readonly region: string;
  /** A bucket that exists. Tests share it: use a prefix of your own. */
  readonly bucket: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
}

interface Listener {
  readonly bootstrap: string;
}

interface KafkaState {
  readonly bootstrap: string;
  readonly brokers: readonly { readonly id: number; readonly pid?: number; readonly ports: { readonly CLIENT: number } }[];
  readonly secure:
    | false
    | {
        readonly sasl: Listener;
        readonly tls: Listener;
        readonly saslTls: Listener;
        readonly mutualTls: Listener;
        readonly mechanisms: readonly string[];
        readonly username: string;
        readonly password: string;
        readonly caFile: string;
        readonly clientCertificateFile: string;
        readonly clientKeyFile: string;
      };
}

function readState<State>(kind: "kafka" | "s3" | "postgres", name: string | undefined, variable: string): State {
  const folder = environment("MILLRACE_SERVERS") ?? join(repository, ".cache/run");
  const file = join(folder, `${name === undefined ? kind : `${kind}-${name}`}.json`);
  try {
    return JSON.parse(readFileSync(file, "utf8")) as State;
  } catch (cause) {
    const command = `hack/${kind} up${name === undefined ? "" : ` --name ${name}`}`;
    throw new Error(`this test needs a real ${kind} and finds none (${file}); run ${command}, or set ${variable}`, { cause });
  }
}

const list = (bootstrap: string): readonly string[] => bootstrap.split(",").map((one) => one.trim());

function kafkaState(): KafkaState {
  const state = readState<KafkaState>("kafka", undefined, "MILLRACE_TEST_KAFKA");
  for (const broker of state.brokers) {
    if (broker.pid !== undefined && !exists(broker.pid))
      throw new Error(`broker ${broker.id} of the recorded Kafka does not run; run hack/kafka up`);
  }
  return state;
}

function exists(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The Kafka of this run. Topics are not made on first use: create yours, under a name of your own. */
export function realKafka(): RealKafka {
  return { bootstrap: list(environment("MILLRACE_TEST_KAFKA") ?? kafkaState().bootstrap) };
}

/** The listeners that `hack/kafka up --secure` opens. */
export function realSecureKafka(): SecureKafka {
  const { secure } = kafkaState();
  if (!secure) throw new Error("this test needs Kafka with SASL and TLS; run hack/kafka down && hack/kafka up --secure");
  return {
    sasl: list(secure.sasl.bootstrap),
    tls: list(secure.tls.bootstrap),
    saslTls: list(secure.saslTls.bootstrap),
    mutualTls: list(secure.mutualTls.bootstrap),
    mechanisms: secure.mechanisms,
    username: secure.username,
    password: secure.password,
    ca: readFileSync(secure.caFile, "utf8"),
    clientCertificate: readFileSync(secure.clientCertificateFile, "utf8"),
    clientKey: readFileSync(secure.clientKeyFile, "utf8"),
  };
}

/** The S3 server of this run. */
export function realS3(): RealS3 {
  const endpoint = environment("MILLRACE_TEST_S3_ENDPOINT");
  if (endpoint === undefined) return readState<RealS3>("s3", undefined, "MILLRACE_TEST_S3_ENDPOINT");
  const accessKeyId = environment("MILLRACE_TEST_S3_KEY");
  const secretAccessKey = environment("MILLRACE_TEST_S3_SECRET");
  if (accessKeyId === undefined || secretAccessKey === undefined) {
    throw new Error("MILLRACE_TEST_S3_ENDPOINT is set without MILLRACE_TEST_S3_KEY and MILLRACE_TEST_S3_SECRET; set all three");
  }
  const region = environment("MILLRACE_TEST_S3_REGION") ?? "us-east-1";
  return { endpoint, region, bucket: environment("MILLRACE_TEST_S3_BUCKET") ?? "millrace", accessKeyId, secretAccessKey };
}

/** A Kafka of a test's own, whose brokers it may kill. */
export interface KafkaCluster {
  readonly bootstrap: readonly string[];
  /** SIGKILL to one broker (ids from 1). */
  kill(broker: number): Promise<void>;
  /** Starts the killed brokers again, with their data. */
  revive(): Promise<void>;
  /** Ends all brokers and deletes their data. */
  down(): Promise<void>;
}

/** Starts three brokers (internal topics with three copies) under a name that no other test uses. Takes about 15 s. */
export async function startKafkaCluster(name: string): Promise<KafkaCluster> {
  const kafka = async (...args: string[]): Promise<void> => {
    await promisify(execFile)(join(repository, "hack/kafka"), [...args, "--name", name]);
  };
  await kafka("up", "--brokers", "3");
  return {
    bootstrap: list(readState<KafkaState>("kafka", name, "MILLRACE_TEST_KAFKA").bootstrap),
    kill: (broker) => kafka("kill", "--broker", String(broker)),
    revive: () => kafka("up"),
    down: () => kafka("down"),
  };
}

/** The PostgreSQL of this run, as a URL. */
export function realPostgres(): string {
  return environment("MILLRACE_TEST_POSTGRES") ?? readState<{ readonly url: string }>("postgres", undefined, "MILLRACE_TEST_POSTGRES").url;
}
