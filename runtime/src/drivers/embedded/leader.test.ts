// What the leader tells each member of the others: who has which task, and who keeps a copy of its state.
import { expect, test } from "vitest";
import type { AppPlan } from "./app-plan.ts";
import { decodeOrders, encodeNews } from "./assignment/group-protocol.ts";
import { lead } from "./leader.ts";

const tasks = [0, 1].map((partition) => ({ id: `1_${partition}`, subTopology: 1, partition, stateful: true }));
const plan = { fingerprint: "f", tasks, partitionsOf: () => [] } as unknown as AppPlan;

test("everybody learns where tasks and copies are, but for processes that answer nobody", () => {
  const member = (memberId: string, owned: readonly string[], url?: string) => ({
    memberId,
    groupInstanceId: null,
    metadata: encodeNews([], [], { process: memberId, fingerprint: "f", owned, lags: {}, round: 0, ...(url === undefined ? {} : { url }) }),
  });
  const members = [member("a", ["1_0"], "http://a"), member("b", ["1_1"], "http://b"), member("c", [])];
  const told = lead("app", plan, members, { standbys: 2, acceptableLag: 10, maxWarmups: 1 });
  for (const { memberId } of members) {
    const { hosts, copies } = decodeOrders(Buffer.from(told.get(memberId) ?? []));
    expect(hosts).toEqual({ "http://a": ["1_0"], "http://b": ["1_1"] });
    expect(copies).toEqual({ "http://a": ["1_1"], "http://b": ["1_0"] });
  }
});
