// Where a query goes that a copy may answer: to the owner while it answers, else to whoever has a copy.
import { expect, test } from "vitest";
import { ManualClock } from "../../../base/clock.ts";
import { keyLayout } from "../../../core/keys/key-layout.ts";
import { string } from "../../../core/schema/field.ts";
import { schema } from "../../../core/schema/schema.ts";
import type { AppPlan } from "../app-plan.ts";
import { AppQueries, type QueryAnswer, type QueryRequest } from "./app-queries.ts";

const Keyed = schema({ key: string() });
const consumer = { uid: "count" };
const plan = {
  topology: {
    subTopologies: [{ id: 1, tables: [], stores: [{ uid: "count", topic: "t" }], inbound: [{ consumer, key: keyLayout(Keyed, ["key"]) }] }],
  },
  counts: [1, 1],
  places: new Map(),
} as unknown as AppPlan;

/** Asks a process that has nothing; `alive` are the others that answer. Gives whom it asked, and the answer's table of lags. */
async function asked(alive: readonly string[], stale: boolean): Promise<readonly unknown[]> {
  const urls: string[] = [];
  const queries = new AppQueries({
    plan: () => plan,
    config: { maxParallelism: 8, clock: new ManualClock() },
    tasks: () => undefined,
    copy: () => undefined,
    orders: () => ({ hosts: { owner: ["1_0"], copy: [], other: ["0_0"] }, copies: { owner: [], copy: ["1_0"], other: [] } }),
    ask: async (url: string, { tasks }: QueryRequest): Promise<QueryAnswer> => {
      urls.push(url);
      if (!alive.includes(url)) throw new Error("connection refused");
      expect(tasks).toEqual(["1_0"]);
      return { rows: [], complete: true, positions: {}, ...(url === "copy" ? { lags: { "1_0": 5 } } : {}) };
    },
  });
  const answer = await queries
    .query({ uid: "count", query: { kind: "get", key: "a" }, ...(stale ? { stale } : {}) })
    .catch((error: unknown) => error as { readonly code: string });
  return [urls, "code" in answer ? answer.code : (answer.lags ?? {})];
}

test("the owner is asked first, and whoever has a copy when it does not answer and that is allowed", async () => {
  expect(await asked(["owner", "copy"], true)).toEqual([["owner"], {}]);
  expect(await asked(["copy"], true)).toEqual([["owner", "copy"], { "1_0": 5 }]);
  expect(await asked([], true)).toEqual([["owner", "copy"], "STORE_NOT_READY"]);
  expect(await asked(["copy"], false)).toEqual([["owner"], "STORE_NOT_READY"]);
});
