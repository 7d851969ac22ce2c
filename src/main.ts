// The operator's process: over Kubernetes, configured by its environment (docs/reference/operator.md), until SIGTERM or the loss of its lease.
import { randomBytes } from "node:crypto";
import { ControllerMetrics } from "./controller/metrics.ts";
import { HttpAppClient } from "./job-rest/http-app-client.ts";
import { HttpDriverClient } from "./job-rest/http-driver-client.ts";
import { HttpJobClient } from "./job-rest/http-job-client.ts";
import { KafkaTopicClient } from "./kafka/kafka-topic-client.ts";
import { namespaceServer } from "./kafka/namespace-server.ts";
import { ApiConnection } from "./kubernetes/api-connection.ts";
import { KubernetesCluster } from "./kubernetes/kubernetes-cluster.ts";
import { type OperatorConfig, readConfig } from "./operator/config.ts";
import { startHttpServer } from "./operator/http-server.ts";
import { jsonLog } from "./operator/json-log.ts";
import { controllerNames, Operator } from "./operator/operator.ts";
import { messageOf, type Machine } from "./ports/machine.ts";

/** An event loop that stands still for so long is not alive. */
const stalledMs = 60_000;
const beatMs = 5_000;

async function main(config: OperatorConfig): Promise<number> {
  const log = jsonLog(config.logLevel, (line) => process.stdout.write(line), Date.now);
  const machine: Machine = {
    clock: {
      now: () => Date.now(),
      after: (delayMs, callback) => {
        const timer = setTimeout(callback, Math.max(0, delayMs));
        return () => clearTimeout(timer);
      },
    },
    random: Math.random,
    log,
    secret: () => randomBytes(32).toString("hex"),
  };
  const metrics = new ControllerMetrics(controllerNames);
  const { kubeconfig, context, identity, lease, leaseTimes, namespaces, defaultImage, workers } = config;
  const api = new ApiConnection({ kubeconfig, context, onRequest: (verb, kind, result) => metrics.requested(verb, kind, result) });
  const cluster = new KubernetesCluster(api, Math.random);
  const client = new HttpJobClient();
  const driver = new HttpDriverClient();
  const app = new HttpAppClient();
  const topics = new KafkaTopicClient(Date.now, namespaceServer);
  const operator = new Operator({
    cluster,
    client,
    driver,
    app,
    topics,
    machine,
    identity,
    lease,
    leaseTimes,
    namespaces,
    defaultImage,
    workers,
    metrics,
  });
  let beatenMs = Date.now();
  const beat = setInterval(() => {
    beatenMs = Date.now();
  }, beatMs);
  const http = await startHttpServer(
    {
      alive: () => Date.now() - beatenMs < stalledMs,
      ready: () => operator.ready,
      metrics: async () => ({ contentType: metrics.registry.contentType, text: await metrics.registry.metrics() }),
    },
    { host: config.httpHost, port: config.httpPort },
  );
  const stop = new AbortController();
  const signalled = (): void => stop.abort();
  process.on("SIGTERM", signalled).on("SIGINT", signalled);
  log.info("operator starting", { identity, server: api.server, namespaces: namespaces.join(",") || "all", port: http.port });
  try {
    const inOrder = await operator.run(stop.signal);
    log.info(inOrder ? "operator stopped" : "operator ends because it lost its lease", { identity });
    return inOrder ? 0 : 1;
  } finally {
    clearInterval(beat);
    await http.close();
  }
}

try {
  process.exitCode = await main(readConfig(process.env));
} catch (error) {
  process.stderr.write(`${JSON.stringify({ level: "error", message: "operator failed", reason: messageOf(error) })}\n`);
  process.exitCode = 1;
}
