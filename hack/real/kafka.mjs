// `hack/kafka`: a real Kafka on loopback for tests and for trying things.
//
//   hack/kafka up     [--name x] [--brokers 1|3] [--secure] [--port P] [--address A]   starts what is not running yet, waits until it answers
//   hack/kafka down   [--name x] [--keep]                                ends it and deletes its data (--keep: leaves the data for the next up)
//   hack/kafka status [--name x]                                         says what runs; ends with 1 when it is not all there
//   hack/kafka kill   --broker N [--name x]                              SIGKILL to one broker; `up` starts it again with its data
//
// --address is another address of this machine, such as the one at which the pods of hack/cluster reach it.
// Without --port the ports are free ones, and they stay the same for the life of the instance. The state file `.cache/run/kafka.json`
// (`kafka-x.json` with --name x) holds `bootstrap`, the brokers with pid, port and log, and with --secure `secure`: the listeners SASL
// (SASL_PLAINTEXT), TLS, SASLTLS and MTLS, the user of PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512, and the PEM files. Tests read it through
// test/support/real.ts.
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, rmSync } from "node:fs";
import { join, relative } from "node:path";
import { makeCertificates } from "./certificates.mjs";
import { hasDocker } from "./docker.mjs";
import { dockerBrokers, javaBrokers } from "./kafka-brokers.mjs";
import { KAFKA_VERSION, listenerNames, SASL_PASSWORD, SASL_USER } from "./kafka-config.mjs";
import { registeredBrokers } from "./kafka-probe.mjs";
import { freePorts, isFree } from "./ports.mjs";
import { instanceName, runFolder } from "./paths.mjs";
import { Problem, runMain } from "./problem.mjs";
import { waitFor } from "./process.mjs";
import { readState, removeState, withLock, writeState } from "./state.mjs";
import { parseOptions } from "./tools.mjs";

const USAGE = "hack/kafka up|down|status|kill [--name x] [--brokers 1|3] [--secure] [--port P] [--address A] [--keep] [--broker N]";
const READY_TIMEOUT_MS = 120_000;
const say = (line) => process.stderr.write(`kafka: ${line}\n`);
const wayOf = (cluster) => (cluster.via === "docker" ? dockerBrokers : javaBrokers);

async function plan(instance, options) {
  const count = options.brokers ?? 1;
  if (count !== 1 && count !== 3) throw new Problem(`--brokers ${count} is not offered`, "use 1 or 3");
  const way = hasDocker() ? dockerBrokers : javaBrokers;
  const names = listenerNames(options.secure === true);
  const ports = await freePorts(count * names.length);
  const cluster = {
    instance,
    kind: "kafka",
    version: KAFKA_VERSION,
    via: way.via,
    folder: join(runFolder, instance),
    clusterId: randomBytes(16).toString("base64url").replace(/^-/, "A"),
    secure: options.secure === true,
    address: options.address ?? "127.0.0.1",
  };
  cluster.brokers = Array.from({ length: count }, (_, i) => ({
    id: i + 1,
    host: way.host(cluster, i + 1),
    ports: Object.fromEntries(
      names.map((name, n) => [name, name === "CLIENT" && options.port !== undefined ? options.port + i : ports[i * names.length + n]]),
    ),
  }));
  return cluster;
}

/** What tests read: addresses and credentials, next to what `up` and `down` need. */
function published(cluster) {
  const bootstrap = (listener) => cluster.brokers.map((broker) => `${cluster.address}:${broker.ports[listener]}`).join(",");
  const tls = (name) => join(cluster.folder, "tls", name);
  const secure = cluster.secure && {
    sasl: { bootstrap: bootstrap("SASL") },
    tls: { bootstrap: bootstrap("TLS") },
    saslTls: { bootstrap: bootstrap("SASLTLS") },
    mutualTls: { bootstrap: bootstrap("MTLS") },
    mechanisms: ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"],
    username: SASL_USER,
    password: SASL_PASSWORD,
    caFile: tls("ca.crt"),
    clientCertificateFile: tls("client.crt"),
    clientKeyFile: tls("client.key"),
  };
  return { ...cluster, bootstrap: bootstrap("CLIENT"), secure };
}

async function create(instance, options) {
  const cluster = await plan(instance, options);
  rmSync(cluster.folder, { recursive: true, force: true });
  mkdirSync(cluster.folder, { recursive: true });
  if (cluster.secure) makeCertificates(join(cluster.folder, "tls"));
  cluster.libraries = await wayOf(cluster).prepare(cluster, say);
  await Promise.all(cluster.brokers.map((broker) => wayOf(cluster).create(cluster, broker)));
  return published(cluster);
}

async function up(instance, options) {
  const before = readState(instance);
  if (before !== undefined) {
    const differs = (options.brokers ?? before.brokers.length) !== before.brokers.length || (options.secure === true && !before.secure);
    if (differs)
      throw new Problem(
        `${instance} runs already, with other options`,
        `end it first: hack/kafka down${options.name ? ` --name ${options.name}` : ""}`,
      );
  }
  const kept = before !== undefined && (before.via === "docker" || existsSync(before.folder));
  const cluster = kept ? before : await create(instance, options);
  const way = wayOf(cluster);
  const started = [];
  try {
    for (const broker of cluster.brokers) {
      if (way.isAlive(broker)) continue;
      if (!(await isFree(broker.ports.CLIENT, cluster.address)))
        throw new Problem(
          `port ${broker.ports.CLIENT} is in use`,
          "end what listens there, give another --port, or run hack/kafka down first",
        );
      const { failed, ...handle } = way.start(cluster, broker);
      Object.assign(broker, handle);
      started.push({ broker, failed });
      // Recorded at once: whatever happens next, `down` knows what to end.
      writeState(instance, cluster);
    }
    await ready(cluster, started);
  } catch (error) {
    for (const { broker } of started) await way.stop(broker, { signal: "SIGKILL" });
    if (!kept) {
      // The logs stay for the reader of the message; a network or container of Docker would stand in the way of the next up.
      if (cluster.via === "docker") way.remove(cluster);
      removeState(instance);
    }
    throw error;
  }
  say(
    `${cluster.bootstrap} (Kafka ${cluster.version} by ${cluster.via}${cluster.secure ? ", with SASL and TLS listeners" : ""}; state in ${relative(process.cwd(), join(runFolder, `${instance}.json`))})`,
  );
}

async function ready(cluster, started) {
  const way = wayOf(cluster);
  for (const broker of cluster.brokers) {
    const isEveryone = async () => (await registeredBrokers(broker.ports.CLIENT, cluster.address)).length === cluster.brokers.length;
    const alive = () => {
      const died = started.find(({ broker: one }) => !way.isAlive(one));
      return died && (died.failed()?.message ?? `broker ${died.broker.id} has ended`);
    };
    const log = way.log(cluster, broker);
    await waitFor(`kafka broker ${broker.id}`, isEveryone, { timeoutMs: READY_TIMEOUT_MS, log, container: broker.container, alive });
  }
}

async function down(instance, options) {
  const cluster = readState(instance);
  if (cluster === undefined) return say(`${instance} does not run`);
  const way = wayOf(cluster);
  // Data that is deleted anyway needs no orderly shutdown.
  const signal = options.keep ? "SIGTERM" : "SIGKILL";
  await Promise.all(cluster.brokers.map((broker) => way.stop(broker, { signal })));
  if (!options.keep) {
    way.remove(cluster);
    removeState(instance);
  }
  say(`${instance} is down`);
}

async function status(instance) {
  const cluster = readState(instance);
  if (cluster === undefined) {
    process.exitCode = 1;
    return say(`${instance} does not run`);
  }
  for (const broker of cluster.brokers) {
    const alive = wayOf(cluster).isAlive(broker);
    const known = alive ? await registeredBrokers(broker.ports.CLIENT, cluster.address).catch(() => undefined) : undefined;
    if (known?.length !== cluster.brokers.length) process.exitCode = 1;
    const what = !alive
      ? "not running"
      : known === undefined
        ? "running, does not answer"
        : `running, knows brokers ${known.sort().join(", ")}`;
    say(`broker ${broker.id} at ${cluster.address}:${broker.ports.CLIENT} (${broker.container ?? `pid ${broker.pid}`}): ${what}`);
  }
}

async function kill(instance, options) {
  const cluster = readState(instance);
  const broker = cluster?.brokers.find((one) => one.id === options.broker);
  if (broker === undefined)
    throw new Problem(`${instance} has no broker ${options.broker}`, "see hack/kafka status, and name one with --broker N");
  say((await wayOf(cluster).stop(broker, { signal: "SIGKILL" })) ? `broker ${broker.id} is killed` : `broker ${broker.id} did not run`);
}

await runMain(async () => {
  const [command, ...rest] = process.argv.slice(2);
  const action = { up, down, status, kill }[command];
  if (action === undefined) throw new Problem("hack/kafka needs a command", USAGE);
  const options = parseOptions(
    rest,
    { name: "text", brokers: "number", secure: "flag", port: "number", address: "text", keep: "flag", broker: "number" },
    USAGE,
  );
  const instance = instanceName("kafka", options.name);
  if (action === status) await status(instance);
  else await withLock(instance, () => action(instance, options));
});
