// Two ways to run a broker of given properties: a Java process of the installed jars, or a container of the official image.
import { execFile } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { formatArguments, KAFKA_VERSION, serverProperties } from "./kafka-config.mjs";
import { installKafka } from "./kafka-install.mjs";
import { Problem } from "./problem.mjs";
import { isAlive, startDaemon, stop } from "./process.mjs";
import { run } from "./tools.mjs";

const runFile = promisify(execFile);
const image = `apache/kafka:${KAFKA_VERSION}`;
const quote = (text) => `'${text}'`;

/** Brokers as Java processes. */
export const javaBrokers = {
  via: "java",
  host: () => "127.0.0.1",
  prepare: (cluster, say) => installKafka(say),
  async create(cluster, broker) {
    const folder = join(cluster.folder, `broker-${broker.id}`);
    const config = join(folder, "server.properties");
    mkdirSync(folder, { recursive: true });
    const secure = cluster.secure
      ? { keystore: join(cluster.folder, "tls/server.pem"), truststore: join(cluster.folder, "tls/ca.crt") }
      : undefined;
    writeFileSync(config, serverProperties({ broker, brokers: cluster.brokers, bind: "127.0.0.1", data: join(folder, "data"), secure }));
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
    try {
      run("docker", ["image", "inspect", image]);
    } catch {
      say(`pulling ${image}`);
      run("docker", ["pull", image], { next: "check that Docker can reach Docker Hub, or set MILLRACE_NO_DOCKER=1 to use Java and Maven" });
    }
    run("docker", ["network", "create", networkOf(cluster)]);
    return undefined;
  },
  create(cluster, broker) {
    const folder = join(cluster.folder, `broker-${broker.id}`);
    mkdirSync(folder, { recursive: true });
    const secure = cluster.secure ? { keystore: "/tls/server.pem", truststore: "/tls/ca.crt" } : undefined;
    writeFileSync(
      join(folder, "server.properties"),
      serverProperties({ broker, brokers: cluster.brokers, bind: "0.0.0.0", data: "/tmp/kafka-data", secure }),
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
    for (const [, port] of ports) args.push("-p", `127.0.0.1:${port}:${port}`);
    args.push("-v", `${folder}:/conf:ro`);
    if (secure !== undefined) args.push("-v", `${join(cluster.folder, "tls")}:/tls:ro`);
    run("docker", [...args, "--entrypoint", "/bin/bash", image, "-c", start]);
  },
  start(cluster, broker) {
    run("docker", ["start", containerOf(cluster, broker)]);
    return { container: containerOf(cluster, broker), failed: () => undefined };
  },
  isAlive(broker) {
    if (broker?.container === undefined) return false;
    try {
      return run("docker", ["inspect", "-f", "{{.State.Running}}", broker.container]).trim() === "true";
    } catch (error) {
      if (error instanceof Problem) return false;
      throw error;
    }
  },
  log: () => undefined,
  async stop(broker, { signal = "SIGTERM" } = {}) {
    if (!dockerBrokers.isAlive(broker)) return false;
    run("docker", signal === "SIGKILL" ? ["kill", broker.container] : ["stop", broker.container]);
    return true;
  },
  remove(cluster) {
    run("docker", ["rm", "-f", ...cluster.brokers.map((broker) => containerOf(cluster, broker))]);
    run("docker", ["network", "rm", networkOf(cluster)]);
    rmSync(cluster.folder, { recursive: true, force: true });
  },
};
