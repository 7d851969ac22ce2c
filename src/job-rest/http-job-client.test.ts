// The client of a job's REST API, against servers of this process: whom it asks, what it takes from answers, and which failures mean what.
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, test } from "vitest";
import { type JobAddress, JobClientError } from "../ports/job-client.ts";
import { HttpJobClient } from "./http-job-client.ts";

interface Asked {
  readonly to: number;
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly authorization: string | undefined;
  readonly body: string;
}
type Reply = readonly [status: number, body: unknown];

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close();
});

/** One JobManager per reply; a reply is what it answers to everything. */
async function jobManagers(...replies: readonly Reply[]): Promise<{ readonly address: JobAddress; readonly asked: Asked[] }> {
  const asked: Asked[] = [];
  const urls = await Promise.all(
    replies.map(async ([status, answer], to) => {
      const server = createServer((request, response) => {
        const chunks: Buffer[] = [];
        request.on("data", (chunk: Buffer) => chunks.push(chunk));
        request.on("end", () => {
          const { method, url, headers } = request;
          asked.push({ to, method, url, authorization: headers.authorization, body: Buffer.concat(chunks).toString() });
          response.writeHead(status, { "content-type": "application/json" });
          response.end(typeof answer === "string" ? answer : JSON.stringify(answer));
        });
      });
      servers.push(server);
      await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
      return { podName: `jm-${to}`, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
    }),
  );
  return { address: { namespace: "jobs", job: "clicks", run: 7, jobManagers: urls, token: "secret" }, asked };
}

const nobody: Reply = [421, { message: "another JobManager leads" }];
const client = new HttpJobClient();
const failure = (promise: Promise<unknown>): Promise<JobClientError> =>
  promise.then(
    () => expect.fail("it did not reject"),
    (error: unknown) => error as JobClientError,
  );

test("the report is the leader's, whoever is asked first", async () => {
  const follower: Reply = [421, { message: "does not lead" }];
  const leader: Reply = [
    200,
    { leader: true, run: 7, state: "running", parallelism: 3, lastCheckpoint: { id: 4, location: "s3://b/chk-4", completedAtMs: 9 } },
  ];
  for (const order of [
    [follower, leader],
    [leader, follower],
  ]) {
    const { address, asked } = await jobManagers(...order);
    expect(await client.report(address)).toMatchObject({
      run: 7,
      state: "running",
      parallelism: 3,
      lastCheckpoint: { id: 4, location: "s3://b/chk-4", completedAtMs: 9 },
    });
    expect(new Set(asked.map(({ authorization }) => authorization))).toEqual(new Set(["Bearer secret"]));
  }
});

test("a run that stands by is prepared when every JobManager of it is", async () => {
  const standby = (prepared: boolean): Reply => [200, { leader: false, run: 7, state: "standby", prepared }];
  const of = async (...replies: readonly Reply[]): Promise<boolean> =>
    (await client.report((await jobManagers(...replies)).address)).prepared;
  expect(await of(standby(true), standby(true))).toBe(true);
  expect(await of(standby(true), standby(false))).toBe(false);
  // One of them does not answer.
  expect(await of(standby(true), [503, {}])).toBe(false);
});

test("fields that are not what they must be count as not there", async () => {
  const { address } = await jobManagers([
    200,
    { leader: true, run: "7", state: "dancing", parallelism: null, lastFailure: 3, lastCheckpoint: [] },
  ]);
  expect(await client.report(address)).toMatchObject({
    run: 7,
    state: "created",
    parallelism: 0,
    lastFailure: undefined,
    lastCheckpoint: undefined,
  });
});

test("an order to start goes to every JobManager; one that took it is enough, and one that says no refuses", async () => {
  const order = { sinceRun: 7, location: "s3://b/savepoints/x" };
  const taken = await jobManagers([202, {}], [503, {}]);
  await client.start(taken.address, order);
  expect(taken.asked.map(({ to }) => to).sort()).toEqual([0, 1]);
  expect(JSON.parse(taken.asked[0]?.body ?? "")).toEqual({ run: 7, restore: order });
  const refused = await jobManagers([409, { message: "is told to start as run 7" }], [503, {}]);
  expect(await failure(client.start(refused.address, order))).toMatchObject({ reason: "refused" });
  expect(await failure(client.start((await jobManagers([503, {}])).address, order))).toMatchObject({ reason: "unreachable" });
});

test("a savepoint's size, format and times are taken over; one that failed is an answer", async () => {
  const made = {
    id: "a",
    mode: "stop",
    phase: "completed",
    location: "s3://b/a",
    sizeBytes: 9,
    formatVersion: 2,
    cutAtMs: 5,
    completedAtMs: 8,
  };
  const { address, asked } = await jobManagers(nobody, [200, made]);
  expect(await client.savepoint(address, "a/b")).toEqual({ ...made, failure: undefined });
  expect(asked.at(-1)?.url).toBe("/v1/savepoints/a%2Fb");
  const failed = await jobManagers([409, { id: "a", phase: "failed", failure: { code: "X", message: "no room" } }]);
  expect(await client.startSavepoint(failed.address, "a", "stop")).toMatchObject({ phase: "failed", failure: "no room", mode: "stop" });
});

test("a savepoint that nobody has heard of is undefined; a request that is not known is refused", async () => {
  expect(await client.savepoint((await jobManagers(nobody, [404, {}])).address, "a")).toBeUndefined();
  expect(await failure(client.rescale((await jobManagers([404, { message: "no such path" }])).address, 3))).toMatchObject({
    reason: "refused",
  });
});

test("what may pass is unreachable, what will not is refused, with what was said", async () => {
  const of = async (...replies: readonly Reply[]): Promise<string> => {
    const error = await failure(client.rescale((await jobManagers(...replies)).address, 3));
    expect(error).toBeInstanceOf(JobClientError);
    return `${error.reason}: ${error.message}`;
  };
  expect(await of(nobody)).toMatch(/^unreachable: .*421 another JobManager leads/);
  expect(await of([429, {}])).toMatch(/^unreachable/);
  expect(await of([500, "not JSON"])).toMatch(/^unreachable: .*500 not JSON/);
  expect(await of(nobody, [400, { message: "too many" }])).toMatch(/^refused: .*400 too many/);
  expect(await of()).toMatch(/^unreachable: .*nobody was asked/);
});

test("a JobManager that does not lead is asked once, with the whole request", async () => {
  const { address, asked } = await jobManagers(nobody, [200, {}]);
  await client.rescale(address, 3);
  expect(asked.map(({ to, method, body }) => [to, method, body])).toEqual([0, 1].map((to) => [to, "PATCH", '{"parallelism":3}']));
});

test("an answer without an end is given up", async () => {
  const { address } = await jobManagers([200, "x".repeat(9 * 1024 * 1024)]);
  expect(await failure(client.report(address))).toMatchObject({ reason: "unreachable" });
});

test("an address where nobody listens is unreachable", async () => {
  const { address } = await jobManagers([200, {}]);
  await new Promise((resolve) => servers.pop()?.close(resolve));
  expect(await failure(client.report(address))).toMatchObject({ reason: "unreachable" });
});
