// Two ways to run a broker of given properties: a Java process of the installed jars, or a container of the official image.
import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { containerRuns, docker, pullImage } from "./docker.mjs";
import { formatArguments, KAFKA_VERSION, serverProperties } from "./kafka-config.mjs";
import { installKafka } from "./kafka-install.mjs";
import { isAlive, startDaemon, stop } from "./process.mjs";

const runFile = promisify(execFile);
const image = `apache/kafka:${KAFKA_VERSION}`;
const quote = (text) => `'${text}'`;

/** Brokers as Java processes. */
export const javaBrokers = {
  via: "java",
  host: (cluster) => cluster.address,
  prepare: (cluster, say) => installKafka(say),
  async create(cluster, broker) {
    const folder = join(cluster.folder, `broker-${broker.id}`);
    const config = join(folder, "server.properties");
    mkdirSync(folder, { recursive: true });
    const secure = cluster.secure
      ? { keystore: join(cluster.folder, "tls/server.pem"), truststore: join(cluster.folder, "tls/ca.crt") }
      : undefined;
    writeFileSync(
      config,
      serverProperties({
        broker,
        brokers: cluster.brokers,
        bind: cluster.address,
        advertised: cluster.address,
        data: join(folder, "data"),
        secure,
      }),
    );
    const tool = ["-cp", `${cluster.libraries}/*`, "-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool"];
    await runFile("java", [...tool, ...formatArguments({ clusterId: cluster.clusterId, config, secure: cluster.secure })]);
  },
  start(cluster, broker) {
    const folder = join(cluster.folder, `broker-${broker.id}`);
    const heap = cluster.brokers.length > 1 ? "-Xmx512m" : "-Xmx1g";
    const logging = ["-Dorg.slf4j.simpleLogger.showDateTime=true", "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS"];
    const args = [heap, ...logging, "-cp", `${cluster.libraries}/*`, "kafka.Kafka", join(folder, "server.properties")];
    const { pid, identity, failed } = startDaemon("java", args, { log: join(folder, "broker.log"), cwd: folder });
    return { pid, identity, failed };
  },
  isAlive,
  log: (cluster, broker) => join(cluster.folder, `broker-${broker.id}`, "broker.log"),
  stop: (broker, options) => stop(broker, options),
  remove: (cluster) => rmSync(cluster.folder, { recursive: true, force: true }),
};

// The cluster's id keeps instances of one name, from two run folders, apart.
const networkOf = (cluster) =>
  `millrace-${cluster.instance}-${cluster.clusterId
    .slice(0, 8)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, "0")}`;
const containerOf = (cluster, broker) => `${networkOf(cluster)}-${broker.id}`;

/** Brokers as containers: the client listeners are published on loopback, the brokers meet on a network of their own. */
export const dockerBrokers = {
  via: "docker",
  host: (cluster, id) => containerOf(cluster, { id }),
  prepare(cluster, say) {
    pullImage(image, say);
    docker("network", "create", networkOf(cluster));
    return undefined;
  },
  create(cluster, broker) {
    const folder = join(cluster.folder, `broker-${broker.id}`);
    mkdirSync(folder, { recursive: true });
    const secure = cluster.secure ? { keystore: "/tls/server.pem", truststore: "/tls/ca.crt" } : undefined;
    writeFileSync(
      join(folder, "server.properties"),
      serverProperties({ broker, brokers: cluster.brokers, bind: "0.0.0.0", advertised: cluster.address, data: "/tmp/kafka-data", secure }),
    );
    const format = formatArguments({ clusterId: cluster.clusterId, config: "/conf/server.properties", secure: cluster.secure }).map(quote);
    const start = `/opt/kafka/bin/kafka-storage.sh ${format.join(" ")} --ignore-formatted && exec /opt/kafka/bin/kafka-server-start.sh /conf/server.properties`;
    const ports = Object.entries(broker.ports).filter(([name]) => name !== "BROKER" && name !== "CONTROLLER");
    const args = [
      "create",
      "--name",
      containerOf(cluster, broker),
      "--hostname",
      containerOf(cluster, broker),
      "--network",
      networkOf(cluster),
    ];
    for (const [, port] of ports) args.push("-p", `${cluster.address}:${port}:${port}`);
    args.push("-v", `${folder}:/conf:ro`);
    if (secure !== undefined) args.push("-v", `${join(cluster.folder, "tls")}:/tls:ro`);
    docker(...args, "--entrypoint", "/bin/bash", image, "-c", start);
  },
  start(cluster, broker) {
    docker("start", containerOf(cluster, broker));
    return { container: containerOf(cluster, broker), failed: () => undefined };
  },
  isAlive: (broker) => broker.container !== undefined && containerRuns(broker.container),
  log: () => undefined,
  async stop(broker, { signal = "SIGTERM" } = {}) {
    if (!dockerBrokers.isAlive(broker)) return false;
    docker(signal === "SIGKILL" ? "kill" : "stop", broker.container);
    return true;
  },
  remove(cluster) {
    docker("rm", "-f", ...cluster.brokers.map((broker) => containerOf(cluster, broker)));
    docker("network", "rm", networkOf(cluster));
    rmSync(cluster.folder, { recursive: true, force: true });
  },
};
