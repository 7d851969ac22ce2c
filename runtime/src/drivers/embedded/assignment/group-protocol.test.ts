// What the members of a group tell each other: whoever else is in the group is named as such, and orders come as they were given.
import { expect, test } from "vitest";
import { encodeSubscription } from "../../../connectors/kafka/group/consumer-protocol.ts";
import { decodeNews, decodeOrders, encodeNews, encodeOrders, type MemberNews, type Orders } from "./group-protocol.ts";

const news: MemberNews = { process: "p", fingerprint: "f", owned: ["0_1"], lags: { "1_0": 12 }, round: 3 };
const foreign = { code: "EMBEDDED_GROUP_FOREIGN", subject: "group totals" };

test("the leader reads what a member tells", () => {
  expect(decodeNews("totals", encodeNews(["a"], [{ topic: "a", partition: 1 }], news))).toMatchObject(news);
});

test.each([
  ["other bytes", Buffer.from("no subscription")],
  ["nothing", Buffer.alloc(0)],
  ["a plain consumer", encodeSubscription({ topics: ["a"], userData: Buffer.alloc(0), owned: [] })],
  ["another version", encodeSubscription({ topics: ["a"], userData: Buffer.from('{"version":99}'), owned: [] })],
])("a member that is another application is named: %s", (_what, metadata) => {
  expect(() => decodeNews("totals", metadata)).toThrow(expect.objectContaining(foreign));
});

test("a member reads its orders, however long they are", () => {
  for (let hosts = 0; hosts < 40; hosts++) {
    const orders: Orders = {
      active: ["0_0", "0_1"],
      standby: ["1_1"],
      pending: 1,
      hosts: Object.fromEntries(Array.from({ length: hosts }, (_, index) => [`http://10.0.0.${index}:8080`, [`0_${index}`]])),
    };
    expect(decodeOrders(encodeOrders([{ topic: "a", partition: 0 }], orders))).toEqual(orders);
  }
});
