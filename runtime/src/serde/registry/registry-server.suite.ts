// A schema registry in memory, for tests: the part of Confluent's REST API that clients use, over real HTTP.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

interface StoredSchema {
  readonly id: number;
  readonly schema: string;
  readonly schemaType: string;
  readonly references: readonly unknown[];
}

interface PostedSchema {
  readonly schema: string;
  readonly schemaType?: string;
  readonly references?: readonly unknown[];
}

export class RegistryServer {
  readonly requests: string[] = [];
  /** Statuses for the next requests, before real answers. */
  readonly failures: number[] = [];
  /** When set, requests must carry it. */
  authorization: string | undefined;
  /** A subject whose schemas are refused as incompatible. */
  closedSubject = "closed";
  readonly #schemas: StoredSchema[] = [];
  readonly #subjects = new Map<string, number[]>();
  readonly #server: Server = createServer((request, response) => void this.#serve(request, response));

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Registers a schema; the same one has the same id in every subject. */
  register(subject: string, { schema, schemaType = "AVRO", references = [] }: PostedSchema): number {
    let stored = this.#find({ schema, schemaType, references });
    if (stored === undefined) {
      stored = { id: this.#schemas.length + 1, schema, schemaType, references };
      this.#schemas.push(stored);
    }
    const versions = this.#subjects.get(subject) ?? [];
    if (!versions.includes(stored.id)) versions.push(stored.id);
    this.#subjects.set(subject, versions);
    return stored.id;
  }

  #find({ schema, schemaType = "AVRO", references = [] }: PostedSchema): StoredSchema | undefined {
    return this.#schemas.find(
      (one) => one.schema === schema && one.schemaType === schemaType && JSON.stringify(one.references) === JSON.stringify(references),
    );
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    let body = "";
    for await (const chunk of request) body += String(chunk);
    this.requests.push(`${request.method} ${request.url}`);
    const failure = this.failures.shift();
    const [status, answer] =
      failure !== undefined
        ? [failure, { error_code: failure, message: "as told" }]
        : this.authorization !== undefined && request.headers.authorization !== this.authorization
          ? [401, { error_code: 401, message: "Unauthorized" }]
          : this.#answer(request.method ?? "", request.url ?? "", body);
    response.writeHead(status as number, { "content-type": "application/vnd.schemaregistry.v1+json" });
    response.end(JSON.stringify(answer));
  }

  #answer(method: string, url: string, body: string): readonly [number, unknown] {
    const parts = url.split("/").slice(1).map(decodeURIComponent);
    if (method === "GET" && parts[0] === "schemas" && parts[1] === "ids") {
      const stored = this.#schemas[Number(parts[2]) - 1];
      return stored === undefined ? [404, { error_code: 40403, message: "Schema not found" }] : [200, shown(stored)];
    }
    if (parts[0] !== "subjects") return [404, { error_code: 404, message: "HTTP 404 Not Found" }];
    const subject = parts[1] ?? "";
    if (method === "POST") return this.#post(subject, parts[2] === "versions", JSON.parse(body) as PostedSchema);
    const versions = this.#subjects.get(subject);
    if (versions === undefined) return [404, { error_code: 40401, message: `Subject '${subject}' not found.` }];
    const id = parts[3] === "latest" ? versions.at(-1) : versions[Number(parts[3]) - 1];
    if (id === undefined) return [404, { error_code: 40402, message: "Version not found." }];
    const stored = this.#schemas[id - 1] as StoredSchema;
    return [200, { subject, version: versions.indexOf(id) + 1, id, ...shown(stored) }];
  }

  #post(subject: string, register: boolean, posted: PostedSchema): readonly [number, unknown] {
    if (register) {
      if (subject === this.closedSubject) return [409, { error_code: 409, message: "Schema being registered is incompatible" }];
      if (posted.schema === "") return [422, { error_code: 42201, message: "Invalid schema" }];
      return [200, { id: this.register(subject, posted) }];
    }
    const stored = this.#find(posted);
    const versions = this.#subjects.get(subject);
    if (versions === undefined) return [404, { error_code: 40401, message: "Subject not found." }];
    if (stored === undefined || !versions.includes(stored.id)) return [404, { error_code: 40403, message: "Schema not found" }];
    return [200, { subject, version: versions.indexOf(stored.id) + 1, id: stored.id, schema: stored.schema }];
  }
}

// As the real one: AVRO and empty references are left out.
function shown({ schema, schemaType, references }: StoredSchema): object {
  return { schema, ...(schemaType === "AVRO" ? {} : { schemaType }), ...(references.length === 0 ? {} : { references }) };
}
