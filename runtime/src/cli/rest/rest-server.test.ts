// The REST API: every answer is what the OpenAPI document says, and nobody without the token gets one.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { MillraceError } from "../../base/errors.ts";
import { tokenReader } from "./auth.ts";
import { checkedAgainst } from "./document-check.suite.ts";
import type { JobControl, SavepointAnswer } from "./job-control.ts";
import { openApiDocument } from "./openapi.ts";
import { type RestServer, startRestServer } from "./rest-server.ts";

const ask = checkedAgainst(openApiDocument);

const checkpoint = {
  id: 7,
  phase: "completed" as const,
  triggeredAtMs: 1,
  savepointId: undefined,
  cutMs: 0.5,
  durationMs: 12,
  location: "file:///s/chk-7",
  writtenBytes: 10,
  totalBytes: 20,
  failures: [],
};

const job = {
  name: "clicks",
  run: 1,
  leader: true,
  state: "running",
  startedAtMs: 1,
  runningSinceMs: 2,
  parallelism: 4,
  maxParallelism: 128,
  restarts: 0,
  restoredFrom: null,
  lastFailure: null,
  waitingFor: null,
  prepared: true,
  lastCheckpoint: null,
  processing: null,
};

function control(changes: Partial<JobControl> = {}): JobControl {
  const savepoints = new Map<string, SavepointAnswer>();
  return {
    job: () => job,
    checkpoints: () => [checkpoint],
    exceptions: () => ({
      history: [{ atMs: 1, region: "r", attempt: 1, code: "FUNCTION_FAILED", message: "m" }],
      poison: [{ uid: "u", splitId: "s", position: 3, failures: 2, lastMessage: "m", lastAtMs: 1 }],
      recoveries: [
        {
          region: "r",
          code: "FUNCTION_FAILED",
          detectedAtMs: 1,
          failures: 1,
          cancelledAtMs: 2,
          deployedAtMs: 3,
          restoredFrom: "file:///s/chk-1",
          restoredAtMs: null,
          runningAtMs: null,
          slowest: { slot: 0, clearingMs: 0, snapshotMs: 1, instancesMs: 2, connectMs: 3 },
        },
      ],
    }),
    config: () => ({ parallelism: 4 }),
    healthy: () => true,
    ready: () => true,
    savepoint(id, mode) {
      const facts = { location: null, sizeBytes: null, checkpointId: null, formatVersion: null, cutAtMs: null, completedAtMs: null };
      const answer = { id, mode, phase: "running", ...facts, failure: null } as const;
      savepoints.set(id, answer);
      return Promise.resolve(answer);
    },
    savepointSettled(id) {
      savepoints.set(id, {
        ...(savepoints.get(id) as SavepointAnswer),
        phase: "completed",
        location: "file:///s/a",
        sizeBytes: 5,
        checkpointId: 7,
        formatVersion: 1,
        cutAtMs: 1000,
        completedAtMs: 1500,
      });
      return Promise.resolve();
    },
    savepoints: () => Promise.resolve([...savepoints.values()]),
    savepointById: (id) => Promise.resolve(savepoints.get(id)),
    start: () => {},
    stop: () => {},
    rescale: ({ job: parallelism }) =>
      (parallelism ?? 0) > 4
        ? Promise.reject(new MillraceError("SLOTS_MISSING", "parallelism", "needs 5 slots and 4 are there", "start more"))
        : Promise.resolve({ checkpointId: 8, gapMs: 20, vertices: { a: 2 } }),
    profile: () => Promise.resolve({ nodes: [], samples: [] }),
    metrics: () => Promise.resolve({ contentType: "text/plain", text: "" }),
    leader: () => undefined,
    ...changes,
  };
}

let server: RestServer | undefined;
afterEach(async () => {
  await server?.close();
  server = undefined;
});

async function start(changes: Partial<JobControl> = {}, token?: () => string): Promise<string> {
  server = await startRestServer(control(changes), { host: "127.0.0.1", port: 0, token });
  return server.url;
}

test("every answer is what the OpenAPI document says", async () => {
  const url = await start();
  for (const path of ["/v1/job", "/v1/checkpoints", "/v1/exceptions", "/v1/config", "/v1/openapi.json"])
    expect((await ask(url, "GET", path, path)).status).toBe(200);
  expect(await ask(url, "PATCH", "/v1/job", "/v1/job", { parallelism: 2 })).toMatchObject({ status: 200, body: { gapMs: 20 } });
  expect(await ask(url, "PATCH", "/v1/job", "/v1/job", { parallelism: 5 })).toMatchObject({ status: 409, body: { code: "SLOTS_MISSING" } });
  expect(await ask(url, "PATCH", "/v1/job", "/v1/job", { parallelism: 0 })).toMatchObject({ status: 400 });
  expect(await ask(url, "PATCH", "/v1/job", "/v1/job", {})).toMatchObject({ status: 400 });
  expect((await ask(url, "POST", "/v1/job/stop", "/v1/job/stop")).status).toBe(202);
  const template = "/v1/savepoints/{id}";
  expect((await ask(url, "GET", "/v1/savepoints/none", template)).status).toBe(404);
  expect(await ask(url, "POST", "/v1/savepoints", "/v1/savepoints", { id: "a" })).toMatchObject({
    status: 202,
    body: { phase: "running" },
  });
  expect((await ask(url, "GET", "/v1/savepoints/a", template)).status).toBe(202);
  expect(await ask(url, "GET", "/v1/savepoints/a?wait=5s", template)).toMatchObject({ status: 200, body: { location: "file:///s/a" } });
  expect(await ask(url, "GET", "/v1/savepoints", "/v1/savepoints")).toMatchObject({
    status: 200,
    body: { savepoints: [{ id: "a", formatVersion: 1, cutAtMs: 1000, completedAtMs: 1500 }] },
  });
  expect((await ask(url, "POST", "/v1/savepoints", "/v1/savepoints", { id: "../a" })).status).toBe(400);
  expect((await ask(url, "GET", "/v1/slots/0/flamegraph?duration=200", "/v1/slots/{slot}/flamegraph")).status).toBe(200);
  expect((await ask(url, "GET", "/v1/slots/0/profile?duration=200", "/v1/slots/{slot}/profile")).status).toBe(200);
});

test("below /v1 nobody without the token gets an answer; a rotated token counts at once", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-token-"));
  const file = join(folder, "token");
  writeFileSync(file, "first\n");
  const url = await start({}, tokenReader(file));
  const status = async (path: string, token?: string): Promise<number> =>
    (await fetch(`${url}${path}`, token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } })).status;
  expect(await status("/healthz")).toBe(200);
  expect(await status("/metrics")).toBe(200);
  expect(await status("/v1/job")).toBe(401);
  expect(await status("/v1/job", "firs")).toBe(401);
  expect(await status("/v1/openapi.json")).toBe(401);
  expect(await status("/v1/job", "first")).toBe(200);
  writeFileSync(file, "second");
  expect(await status("/v1/job", "first")).toBe(401);
  expect(await status("/v1/job", "second")).toBe(200);
  rmSync(folder, { recursive: true });
});

test("a JobManager that does not lead says who does, or that nobody does", async () => {
  const refuse = (): never => {
    throw new MillraceError("NOT_LEADER", "this JobManager", "does not lead the job", "ask the leader");
  };
  const url = await start({ job: refuse, leader: () => "http://10.0.0.1:8081" });
  const response = await fetch(`${url}/v1/job`, { redirect: "manual" });
  expect(response.status).toBe(421);
  expect(response.headers.get("location")).toBe("http://10.0.0.1:8081/v1/job");
  expect(await response.json()).toMatchObject({ code: "NOT_LEADER", leader: "http://10.0.0.1:8081" });
  await server?.close();
  const alone = await start({ job: refuse });
  expect((await fetch(`${alone}/v1/job`)).status).toBe(503);
});

test("a token file that is empty or missing is told at the start", () => {
  expect(() => tokenReader("/nowhere/token")).toThrow(/TOKEN_FILE|ENOENT/);
  expect(tokenReader(undefined)).toBeUndefined();
});
