// Requests to an API server: how many connections they take, and who they say that they are.
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { ApiConnection } from "./api-connection.ts";

let folder = "";
let server: Server;
let connections = 0;
let authorizations: (string | undefined)[] = [];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), "millrace-api-"));
  connections = 0;
  authorizations = [];
  server = createServer((request, response) => {
    authorizations.push(request.headers.authorization);
    response.setHeader("content-type", "application/json");
    response.end("{}");
  });
  server.on("connection", () => connections++);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
});

afterEach(() => {
  server.closeAllConnections();
  server.close();
  rmSync(folder, { recursive: true, force: true });
});

function connect(user: object): ApiConnection {
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kubeconfig = join(folder, "kubeconfig");
  // What says how TLS is done makes the client use a dispatcher of its own, over plain HTTP too.
  const cluster = { server: url, "insecure-skip-tls-verify": true };
  const config = {
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "k", user: "u" } }],
    clusters: [{ name: "k", cluster }],
    users: [{ name: "u", user }],
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  return new ApiConnection({ kubeconfig, onRequest: () => {} });
}

const get = (api: ApiConnection): Promise<unknown> =>
  api.json({ verb: "get", subject: "Pod a/b", method: "GET", path: "/api/v1/namespaces/a/pods/b", timeoutMs: 60_000 });

it("requests that follow each other share a connection", async () => {
  const api = connect({ token: "secret" });
  for (let i = 0; i < 20; i++) await get(api);
  // Not one: a slow machine may let the connection idle for longer than it is kept.
  expect(connections).toBeLessThan(10);
  expect(authorizations).toEqual(Array.from({ length: 20 }, () => "Bearer secret"));
});

it("requests at the same time take no more connections than there are requests", async () => {
  const api = connect({ token: "secret" });
  for (let round = 0; round < 10; round++) await Promise.all(Array.from({ length: 4 }, () => get(api)));
  expect(connections).toBeLessThan(20);
});

it("a user with a password says so in each request", async () => {
  const api = connect({ username: "millrace", password: "wheel" });
  await get(api);
  await get(api);
  const basic = `Basic ${Buffer.from("millrace:wheel").toString("base64")}`;
  expect(authorizations).toEqual([basic, basic]);
});
