// The environment of the operator's process: what is read, what is assumed, and what is refused with the variable's name.
import { expect, test } from "vitest";
import { readConfig } from "./config.ts";

test("an empty environment gives one replica without election that watches everything", () => {
  expect(readConfig({ MILLRACE_POD_NAME: "operator-0" })).toEqual({
    identity: "operator-0",
    lease: undefined,
    leaseTimes: { durationMs: 15_000, renewDeadlineMs: 10_000, retryMs: 2_000 },
    namespaces: [],
    defaultImage: undefined,
    workers: 16,
    logLevel: "info",
    httpHost: "0.0.0.0",
    httpPort: 8080,
    kubeconfig: undefined,
    context: undefined,
  });
});

test("all that the chart sets is read; empty text counts as not set", () => {
  const config = readConfig({
    MILLRACE_POD_NAME: "",
    MILLRACE_POD_NAMESPACE: "system",
    MILLRACE_LEASE: "millrace-operator",
    MILLRACE_LEASE_DURATION: "30 s",
    MILLRACE_LEASE_RENEW_DEADLINE: "20 s",
    MILLRACE_LEASE_RETRY_PERIOD: "500 ms",
    MILLRACE_WATCH_NAMESPACES: " shop, ,bank ",
    MILLRACE_RUNTIME_IMAGE: "runtime:1",
    MILLRACE_WORKERS: "4",
    MILLRACE_LOG_LEVEL: "warn",
    MILLRACE_HTTP_PORT: "0",
    MILLRACE_KUBE_CONTEXT: "",
  });
  expect(config).toMatchObject({
    lease: { namespace: "system", name: "millrace-operator" },
    leaseTimes: { durationMs: 30_000, renewDeadlineMs: 20_000, retryMs: 500 },
    namespaces: ["shop", "bank"],
    defaultImage: "runtime:1",
    workers: 4,
    logLevel: "warn",
    httpPort: 0,
    context: undefined,
  });
  expect(config.identity).toMatch(/-\d+$/);
});

test.each([
  [{ MILLRACE_LEASE: "x" }, "MILLRACE_POD_NAMESPACE"],
  [{ MILLRACE_LEASE_DURATION: "soon" }, "MILLRACE_LEASE_DURATION"],
  [{ MILLRACE_LEASE_DURATION: "50 ms" }, "MILLRACE_LEASE_DURATION"],
  // A request that a leader has sent could still be under way when the next one begins.
  [{ MILLRACE_LEASE_DURATION: "14 s" }, "MILLRACE_LEASE_RENEW_DEADLINE"],
  [{ MILLRACE_LEASE_RETRY_PERIOD: "6 s" }, "MILLRACE_LEASE_RETRY_PERIOD"],
  [{ MILLRACE_WORKERS: "0" }, "MILLRACE_WORKERS"],
  [{ MILLRACE_WORKERS: "2.5" }, "MILLRACE_WORKERS"],
  [{ MILLRACE_HTTP_PORT: "70000" }, "MILLRACE_HTTP_PORT"],
  [{ MILLRACE_LOG_LEVEL: "loud" }, "MILLRACE_LOG_LEVEL"],
])("%j is refused, and %s is named", (environment: Readonly<Record<string, string>>, name) => {
  expect(() => readConfig(environment)).toThrow(new RegExp(`^${name}: `));
});
