// Connection options: what is accepted, what is refused with the option's name, and that no secret is printed.
import { expect, it } from "vitest";
import { clientOptions, printableOptions } from "./client-options.ts";
import type { KafkaConnectionOptions } from "./client-options.ts";

it("understands lists and text, ports and IPv6", () => {
  const bootstrap = (bootstrapServers: string | readonly string[]): unknown => clientOptions({ bootstrapServers }).bootstrap;
  expect(bootstrap("a:1, b")).toEqual([
    { host: "a", port: 1 },
    { host: "b", port: 9092 },
  ]);
  expect(bootstrap(["[::1]:9093", "k-0.k.svc:9094"])).toEqual([
    { host: "::1", port: 9093 },
    { host: "k-0.k.svc", port: 9094 },
  ]);
});

it.each([
  ["bootstrapServers", { bootstrapServers: [] }],
  ["bootstrapServers", { bootstrapServers: "a:b" }],
  ["bootstrapServers", { bootstrapServers: "a:99999" }],
  ["bootstrapServers", { bootstrapServers: "http://a:1" }],
  ["sasl.mechanism", { bootstrapServers: "a", sasl: { mechanism: "GSSAPI" as "PLAIN", username: "u", password: "p" } }],
  ["tls", { bootstrapServers: "a", tls: { cert: "only" } }],
  ["tls.caFile", { bootstrapServers: "a", tls: { caFile: "/nowhere/ca.pem" } }],
  ["requestTimeoutMs", { bootstrapServers: "a", requestTimeoutMs: -1 }],
] as readonly (readonly [string, KafkaConnectionOptions])[])("refuses %s in %j", (option, options) => {
  expect(() => clientOptions(options)).toThrow(expect.objectContaining({ code: "OPTION_INVALID", subject: `kafka option "${option}"` }));
});

it("refuses a TLS option that does not exist", () => {
  const tls = { caPath: "/x" } as object;
  expect(() => clientOptions({ bootstrapServers: "a", tls })).toThrow(expect.objectContaining({ code: "OPTION_UNKNOWN" }));
});

it("prints no secret", () => {
  const options: KafkaConnectionOptions = {
    bootstrapServers: ["a:1", "b:2"],
    tls: { key: "SECRET", cert: "c", keyPassphrase: "SECRET" },
    sasl: { mechanism: "PLAIN", username: "u", password: "SECRET" },
  };
  expect(JSON.stringify(printableOptions(options))).not.toContain("SECRET");
  expect(printableOptions(options)).toEqual({ bootstrapServers: "a:1,b:2", tls: true, sasl: { mechanism: "PLAIN", username: "u" } });
});
