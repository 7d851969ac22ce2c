// The Kafka port over our own connections, on a real cluster: its contract, security, and what a person is told when it cannot work.
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { describe, expect, it } from "vitest";
import { realKafka, realSecureKafka } from "../../../../../test/support/real.ts";
import { clientOptions } from "./client-options.ts";
import type { KafkaConnectionOptions } from "./client-options.ts";
import { kafkaClientSuite } from "./kafka-client.suite.ts";
import type { SaslMechanism } from "./sasl.ts";
import { WireKafkaClient } from "./wire-client.ts";

kafkaClientSuite("over our own connections", () =>
  Promise.resolve(new WireKafkaClient(clientOptions({ bootstrapServers: realKafka().bootstrap }))),
);

kafkaClientSuite("over TLS with a SCRAM login", () => {
  const { saslTls, ca, username, password } = realSecureKafka();
  const sasl = { mechanism: "SCRAM-SHA-512", username, password } as const;
  return Promise.resolve(new WireKafkaClient(clientOptions({ bootstrapServers: saslTls, tls: { ca }, sasl })));
});

/** Connects, asks something and closes. */
async function connects(options: KafkaConnectionOptions): Promise<number> {
  const client = new WireKafkaClient(clientOptions({ retryTimeoutMs: 1, ...options }));
  try {
    return (await client.listTransactions()).length;
  } finally {
    await client.close();
  }
}

describe("security", () => {
  const secure = realSecureKafka();
  const mechanisms: readonly SaslMechanism[] = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"];

  it.each(mechanisms)("logs in by %s, and says so when the password is wrong", async (mechanism) => {
    const { username, password } = secure;
    await connects({ bootstrapServers: secure.sasl, sasl: { mechanism, username, password } });
    await connects({ bootstrapServers: secure.sasl, sasl: { mechanism, username, password: () => Promise.resolve(password) } });
    const wrong = connects({ bootstrapServers: secure.sasl, sasl: { mechanism, username, password: "wrong" } });
    await expect(wrong).rejects.toMatchObject({ code: "KAFKA_AUTH_FAILED" });
  });

  it("speaks TLS, with and without a login, and with a client certificate", async () => {
    const { username, password, ca, clientCertificate, clientKey } = secure;
    const all: readonly KafkaConnectionOptions[] = [
      { bootstrapServers: secure.tls, tls: { ca } },
      { bootstrapServers: secure.saslTls, tls: { ca }, sasl: { mechanism: "SCRAM-SHA-512", username, password } },
      { bootstrapServers: secure.mutualTls, tls: { ca, cert: clientCertificate, key: clientKey } },
    ];
    for (const options of all) await expect(connects(options)).resolves.toBeGreaterThanOrEqual(0);
  });

  it("says which end is wrong when TLS does not come about", async () => {
    await expect(connects({ bootstrapServers: secure.tls, tls: true })).rejects.toMatchObject({
      code: "KAFKA_BROKER_UNREACHABLE",
      message: expect.stringContaining("certificate"),
    });
    await expect(connects({ bootstrapServers: secure.tls })).rejects.toMatchObject({
      code: "KAFKA_BROKER_UNREACHABLE",
      message: expect.stringContaining("TLS"),
    });
    await expect(connects({ bootstrapServers: secure.mutualTls, tls: { ca: secure.ca } })).rejects.toMatchObject({
      code: "KAFKA_BROKER_UNREACHABLE",
    });
  });
});

describe("a cluster that cannot be used", () => {
  it("is named with the reason when nothing listens", async () => {
    await expect(connects({ bootstrapServers: "127.0.0.1:1" })).rejects.toMatchObject({
      code: "KAFKA_BROKER_UNREACHABLE",
      subject: "Kafka at 127.0.0.1:1",
      message: expect.stringContaining("ECONNREFUSED"),
    });
  });

  it("is given up after the time that the options say", async () => {
    const startedAtMs = Date.now();
    await expect(connects({ bootstrapServers: "127.0.0.1:1", retryTimeoutMs: 1500 })).rejects.toMatchObject({
      code: "KAFKA_BROKER_UNREACHABLE",
    });
    expect(Date.now() - startedAtMs).toBeGreaterThan(400);
    expect(Date.now() - startedAtMs).toBeLessThan(30_000);
  });

  it.each([
    ["says nothing", (): Buffer => Buffer.alloc(0), "did not answer"],
    ["speaks HTTP", (): Buffer => Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"), "does not answer as a Kafka broker"],
  ])("is named when its port %s", async (_what, answer, message) => {
    const server = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", () => socket.write(answer()));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      await expect(connects({ bootstrapServers: `127.0.0.1:${port}`, requestTimeoutMs: 300 })).rejects.toMatchObject({
        code: "KAFKA_BROKER_UNREACHABLE",
        message: expect.stringContaining(message),
      });
    } finally {
      server.close();
    }
  });
});
