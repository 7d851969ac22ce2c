// The schema registry client against the registry's HTTP API: look-ups, caching, references, credentials, failures; awaiting and blocking.
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { isMillraceError } from "../../base/errors.ts";
import { frameId, frameOf } from "./framing.ts";
import { SchemaRegistry } from "./registry.ts";
import { RegistryServer } from "./registry-server.suite.ts";
import { RegistryThread } from "./registry-thread.suite.ts";

let server: RegistryServer;
let url: string;
beforeEach(async () => {
  server = new RegistryServer();
  url = await server.start();
});
afterEach(() => server.stop());

async function codeOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (caught: unknown) => caught,
  );
  return isMillraceError(error) ? error.code : String(error);
}

describe("schema registry client", () => {
  it("finds a schema by its id once", async () => {
    const id = server.register("bids-value", { schema: '"string"' });
    const registry = new SchemaRegistry({ url });
    for (let i = 0; i < 3; i++) expect(await registry.schema(id)).toEqual({ id, type: "AVRO", text: '"string"', references: [] });
    expect(server.requests).toEqual([`GET /schemas/ids/${id}`]);
  });

  it("brings the schemas that a schema refers to, inner ones first", async () => {
    server.register("money", { schema: "M" });
    server.register("item", { schema: "I", references: [{ name: "Money", subject: "money", version: 1 }] });
    const references = [
      { name: "Item", subject: "item", version: 1 },
      { name: "Money", subject: "money", version: 1 },
    ];
    const id = server.register("order", { schema: "O", schemaType: "PROTOBUF", references });
    expect(await new SchemaRegistry({ url }).schema(id)).toEqual({
      id,
      type: "PROTOBUF",
      text: "O",
      references: [
        { name: "Money", text: "M" },
        { name: "Item", text: "I" },
      ],
    });
  });

  it("gives the id of a schema, and registers it only when told to", async () => {
    const registry = new SchemaRegistry({ url });
    const schema = { type: "AVRO", text: '"long"' } as const;
    expect(await codeOf(registry.idOf("a b/c", schema, false))).toBe("SCHEMA_NOT_FOUND");
    const id = await registry.idOf("a b/c", schema, true);
    expect(await new SchemaRegistry({ url }).idOf("a b/c", schema, false)).toBe(id);
    expect((await registry.latest("a b/c")).id).toBe(id);
    const asked = server.requests.length;
    expect(await registry.idOf("a b/c", schema, true)).toBe(id);
    expect(server.requests.length).toBe(asked);
  });

  it("names what went wrong", async () => {
    const registry = new SchemaRegistry({ url });
    expect(await codeOf(registry.schema(99))).toBe("SCHEMA_NOT_FOUND");
    expect(await codeOf(registry.latest("none"))).toBe("SCHEMA_NOT_FOUND");
    expect(await codeOf(registry.idOf("closed", { type: "AVRO", text: "x" }, true))).toBe("SCHEMA_INCOMPATIBLE");
    expect(await codeOf(registry.idOf("s", { type: "AVRO", text: "" }, true))).toBe("SCHEMA_INVALID");
    server.authorization = "Basic x";
    expect(await codeOf(registry.latest("none"))).toBe("SCHEMA_REGISTRY_REFUSED");
  });

  it("sends credentials, and does not show those in an address", async () => {
    server.authorization = `Basic ${Buffer.from("me:s3:cret@").toString("base64")}`;
    const id = server.register("s", { schema: '"int"' });
    const basicAuth = { username: "me", password: "s3:cret@" };
    expect((await new SchemaRegistry({ url, basicAuth }).schema(id)).text).toBe('"int"');
    const withCredentials = new SchemaRegistry({ url: url.replace("//", "//me:s3%3Acret%40@") });
    expect((await withCredentials.schema(id)).text).toBe('"int"');
    expect(withCredentials.address).toBe(url);
    server.authorization = "Bearer t";
    expect((await new SchemaRegistry({ url, bearerToken: "t" }).schema(id)).text).toBe('"int"');
  });

  it("tries again, elsewhere too, and gives up with the reason", async () => {
    const id = server.register("s", { schema: '"int"' });
    server.failures.push(503, 429);
    expect((await new SchemaRegistry({ url }).schema(id)).id).toBe(id);
    expect((await new SchemaRegistry({ url: ["http://127.0.0.1:1", url] }).schema(id)).id).toBe(id);
    server.failures.push(500, 500, 500, 500);
    expect(await codeOf(new SchemaRegistry({ url }).schema(id))).toBe("SCHEMA_REGISTRY_UNREACHABLE");
    expect(await codeOf(new SchemaRegistry({ url: "http://127.0.0.1:1" }).schema(id))).toBe("SCHEMA_REGISTRY_UNREACHABLE");
    for (const bad of ["no address", "registry:8081", "ftp://registry"])
      expect(() => new SchemaRegistry({ url: bad })).toThrow(/option registry.url/);
  });

  it("waits for a schema where it cannot await", async () => {
    // The server needs a free event loop, so the registry of this test runs in a thread.
    const thread = new RegistryThread();
    try {
      const registry = new SchemaRegistry({ url: ["http://127.0.0.1:1", await thread.start()] });
      const id = await thread.register({ subject: "s", schema: '"long"' });
      expect(registry.schemaNow(id)).toEqual({ id, type: "AVRO", text: '"long"', references: [] });
      expect(() => registry.schemaNow(8)).toThrow(expect.objectContaining({ code: "SCHEMA_NOT_FOUND" }));
    } finally {
      await thread.stop();
    }
    expect(() => new SchemaRegistry({ url: "http://127.0.0.1:1", timeoutMs: 500 }).schemaNow(7)).toThrow(
      expect.objectContaining({ code: "SCHEMA_REGISTRY_UNREACHABLE" }),
    );
  });

  it("frames ids of 32 bits", () => {
    for (const id of [0, 1, 65_536, 2 ** 31, 2 ** 32 - 1]) expect(frameId(frameOf(id), 0, 5)).toBe(id);
    expect(frameId(Buffer.from([1, 0, 0, 0, 1]), 0, 5)).toBe(-1);
    expect(frameId(Buffer.from([0, 0, 0, 0, 1]), 0, 4)).toBe(-1);
  });
});
