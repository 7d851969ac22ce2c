// A stand-in for the Leases of a Kubernetes API server: resource versions, conflicts, 404, 401, and requests that get no answer.
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface StoredLease {
  readonly metadata: Readonly<Record<string, unknown>> & { readonly name: string; readonly resourceVersion: string };
  readonly spec: Readonly<Record<string, unknown>>;
}

export interface FakeApiServer {
  readonly url: string;
  reachable: boolean;
  /** Takes requests and never answers. */
  silent: boolean;
  readonly leases: ReadonlyMap<string, StoredLease>;
  /** What somebody else does with `kubectl annotate`. */
  annotate(name: string, annotations: Readonly<Record<string, string>>): void;
  close(): Promise<void>;
}

export async function startFakeApiServer(token: string): Promise<FakeApiServer> {
  const leases = new Map<string, StoredLease>();
  let version = 100;
  const server = createServer((request, response) => {
    if (!fake.reachable) return void request.socket.destroy();
    if (fake.silent) return;
    readBody(request).then(
      (body) => answer(request, response, body),
      () => response.destroy(),
    );
  });
  const send = (response: ServerResponse, status: number, body: object): void => {
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  };
  const problem = (response: ServerResponse, code: number, reason: string): void =>
    send(response, code, { kind: "Status", status: "Failure", code, reason, message: reason });
  const answer = (request: IncomingMessage, response: ServerResponse, body: string): void => {
    if (request.headers.authorization !== `Bearer ${token}`) return problem(response, 401, "Unauthorized");
    const match = /^\/apis\/coordination\.k8s\.io\/v1\/namespaces\/jobs\/leases(?:\/([a-z0-9-]+))?$/.exec(request.url ?? "");
    if (match === null) return problem(response, 404, "NotFound");
    const name = match[1];
    if (request.method === "POST" && name === undefined) {
      const given = JSON.parse(body) as StoredLease;
      if (leases.has(given.metadata.name)) return problem(response, 409, "AlreadyExists");
      return store(response, 201, given);
    }
    const there = name === undefined ? undefined : leases.get(name);
    if (there === undefined) return problem(response, 404, "NotFound");
    if (request.method === "GET") return send(response, 200, there);
    if (request.method !== "PUT") return problem(response, 405, "MethodNotAllowed");
    const given = JSON.parse(body) as StoredLease;
    if (given.metadata.resourceVersion !== there.metadata.resourceVersion) return problem(response, 409, "Conflict");
    return store(response, 200, given);
  };
  const store = (response: ServerResponse, status: number, given: StoredLease): void => {
    // Times have six digits of a second there; anything else is refused.
    if (!/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/.test(String(given.spec["renewTime"]))) return problem(response, 400, "BadRequest");
    const lease = { ...given, metadata: { ...given.metadata, resourceVersion: String(++version) } };
    leases.set(given.metadata.name, lease);
    send(response, status, lease);
  };
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const fake: FakeApiServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    reachable: true,
    silent: false,
    leases,
    annotate(name, annotations) {
      const lease = leases.get(name);
      if (lease === undefined) throw new Error(`there is no Lease ${name}`);
      const before = lease.metadata["annotations"] as Readonly<Record<string, string>>;
      leases.set(name, {
        ...lease,
        metadata: { ...lease.metadata, annotations: { ...before, ...annotations }, resourceVersion: String(++version) },
      });
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return fake;
}

async function readBody(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += String(chunk);
  return text;
}
