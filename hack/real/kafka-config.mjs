// The server.properties of a test broker, as text from plain values; knows nothing of processes.
//
// Settings are those that make tests quick and honest: no wait before a rebalance, few partitions of the internal topics, transactions that
// time out are ended within a second, short sessions allowed, and no topic made by accident (auto.create.topics.enable=false). Records are
// kept for ever: their timestamps are event times of long ago, and the broker's look at retention, half a minute after its start and every
// five minutes, would delete them in the middle of whatever test runs then.

export const KAFKA_VERSION = "4.1.0";

/** The one user that the SASL listeners know. */
export const SASL_USER = "millrace";
export const SASL_PASSWORD = "millrace-secret";

/** Names of the listeners of a broker, in the order of its ports. */
export function listenerNames(secure) {
  return ["CLIENT", "BROKER", "CONTROLLER", ...(secure ? ["SASL", "TLS", "SASLTLS", "MTLS"] : [])];
}

const protocols = {
  CLIENT: "PLAINTEXT",
  BROKER: "PLAINTEXT",
  CONTROLLER: "PLAINTEXT",
  SASL: "SASL_PLAINTEXT",
  TLS: "SSL",
  SASLTLS: "SASL_SSL",
  MTLS: "SSL",
};
const mechanisms = "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN";

/**
 * `broker` is one of `brokers`, each `{ id, host, ports: { CLIENT, BROKER, ... } }`; `host` is the name by which brokers reach each other,
 * `bind` what to listen on, `advertised` the address that clients use. `secure` is undefined or `{ keystore, truststore }`, paths as the broker sees them.
 */
export function serverProperties({ broker, brokers, bind, advertised, data, secure }) {
  const names = listenerNames(secure !== undefined);
  const copies = Math.min(3, brokers.length);
  const inSync = Math.min(2, copies);
  const lines = {
    "process.roles": "broker,controller",
    "node.id": broker.id,
    "controller.quorum.voters": brokers.map((one) => `${one.id}@${one.host}:${one.ports.CONTROLLER}`).join(","),
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "BROKER",
    listeners: names.map((name) => `${name}://${bind}:${broker.ports[name]}`).join(","),
    // People and tests come from this machine; only brokers and controllers use each other's names.
    "advertised.listeners": names
      .map((name) => `${name}://${name === "BROKER" || name === "CONTROLLER" ? broker.host : advertised}:${broker.ports[name]}`)
      .join(","),
    "listener.security.protocol.map": names.map((name) => `${name}:${protocols[name]}`).join(","),
    "log.dirs": data,
    "auto.create.topics.enable": false,
    "default.replication.factor": copies,
    "min.insync.replicas": inSync,
    "offsets.topic.replication.factor": copies,
    "offsets.topic.num.partitions": 4,
    "transaction.state.log.replication.factor": copies,
    "transaction.state.log.min.isr": inSync,
    "transaction.state.log.num.partitions": 4,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": 1000,
    "share.coordinator.state.topic.replication.factor": copies,
    "share.coordinator.state.topic.min.isr": inSync,
    "group.initial.rebalance.delay.ms": 0,
    "group.min.session.timeout.ms": 1000,
    "group.consumer.min.session.timeout.ms": 1000,
    "group.consumer.session.timeout.ms": 6000,
    "group.consumer.min.heartbeat.interval.ms": 100,
    "group.consumer.heartbeat.interval.ms": 500,
    "broker.heartbeat.interval.ms": 500,
    "broker.session.timeout.ms": 6000,
    "log.cleaner.dedupe.buffer.size": 16_777_216,
    "log.segment.delete.delay.ms": 1000,
    "log.retention.ms": -1,
    ...(secure === undefined ? {} : secureProperties(secure)),
  };
  return `${Object.entries(lines)
    .map(([key, value]) => `${key}=${value}`)
    .join("\n")}\n`;
}

function secureProperties({ keystore, truststore }) {
  const lines = {
    "ssl.keystore.type": "PEM",
    "ssl.keystore.location": keystore,
    "ssl.truststore.type": "PEM",
    "ssl.truststore.location": truststore,
    "listener.name.mtls.ssl.client.auth": "required",
  };
  for (const listener of ["sasl", "sasltls"]) {
    lines[`listener.name.${listener}.sasl.enabled.mechanisms`] = mechanisms;
    for (const mechanism of ["scram-sha-256", "scram-sha-512"]) {
      lines[`listener.name.${listener}.${mechanism}.sasl.jaas.config`] =
        "org.apache.kafka.common.security.scram.ScramLoginModule required;";
    }
    lines[`listener.name.${listener}.plain.sasl.jaas.config`] =
      `org.apache.kafka.common.security.plain.PlainLoginModule required user_${SASL_USER}="${SASL_PASSWORD}";`;
  }
  return lines;
}

/** Arguments of `kafka-storage format`; with SASL they carry the user's SCRAM credentials. */
export function formatArguments({ clusterId, config, secure }) {
  const scram = ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((name) => [
    "--add-scram",
    `${name}=[name=${SASL_USER},password=${SASL_PASSWORD}]`,
  ]);
  return ["format", "-t", clusterId, "-c", config, ...(secure ? scram : [])];
}
