// The contract of the Kafka port's groups and topic configurations, for every implementation.
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { JoinedGroup, JoinGroupRequest } from "../wire/group-apis.ts";
import type { GroupMember } from "../wire/offset-apis.ts";
import type { KafkaClient } from "./kafka-client.ts";
import { KafkaProblem } from "./kafka-problem.ts";

const protocolType = "consumer";
const protocolName = "suite";

// A broker reads the subscriptions of this type of group: version 1, no topics, some user data, no owned partitions.
const metadata = (text: string): Buffer =>
  Buffer.concat([Buffer.from([0, 1, 0, 0, 0, 0, 0, 0, 0, text.length]), Buffer.from(text), Buffer.alloc(4)]);
const textOf = (bytes: Buffer): string => bytes.subarray(10, -4).toString();

export function kafkaGroupsSuite(implementation: string, connect: () => Promise<KafkaClient>): void {
  describe(`groups of the Kafka port, ${implementation}`, () => {
    const run = `groups-${randomUUID()}`;
    let count = 0;
    const clients: KafkaClient[] = [];
    let admin: KafkaClient;
    const topic = `${run}-topic`;

    // Each member has a client of its own: a join keeps its connection busy.
    const client = async (): Promise<KafkaClient> => {
      const made = await connect();
      clients.push(made);
      return made;
    };
    beforeAll(async () => {
      admin = await client();
      await admin.createTopics([
        { name: topic, partitions: 1, replicationFactor: -1, configs: { "cleanup.policy": "compact", "segment.ms": "12345" } },
      ]);
    });
    afterAll(async () => {
      await admin.deleteTopics([topic]);
      for (const each of clients) await each.close();
    });

    const request = (groupId: string, more: Partial<JoinGroupRequest> = {}): JoinGroupRequest => ({
      groupId,
      memberId: "",
      groupInstanceId: null,
      sessionTimeoutMs: 6000,
      rebalanceTimeoutMs: 20_000,
      protocolType,
      protocols: [{ name: protocolName, metadata: metadata("m") }],
      ...more,
    });
    /** Joins, again where a broker that has only just started is still looking for its groups. */
    const join = async (kafka: KafkaClient, asked: JoinGroupRequest): Promise<JoinedGroup> => {
      for (;;) {
        try {
          return await kafka.joinGroup(asked);
        } catch (error) {
          if (!(error instanceof KafkaProblem) || (error.kind !== "coordinator" && error.kind !== "retry")) throw error;
          await new Promise((resolve) => setTimeout(resolve, 100));
        }
      }
    };
    const memberOf = (joined: JoinedGroup, groupInstanceId: string | null = null): GroupMember => ({
      generationId: joined.generationId,
      memberId: joined.memberId,
      groupInstanceId,
    });
    const sync = (
      kafka: KafkaClient,
      groupId: string,
      member: GroupMember,
      assignments: Readonly<Record<string, string>> = {},
    ): Promise<Buffer> => {
      const all = Object.entries(assignments).map(([memberId, text]) => ({ memberId, assignment: Buffer.from(text) }));
      return kafka.syncGroup({ groupId, member, protocolType, protocolName, assignments: all });
    };
    const group = (): string => `${run}-${count++}`;
    const kafkaCode = (code: number): unknown => expect.objectContaining({ kafkaCode: code });

    /** A group of one stable member. */
    const alone = async (groupId: string, more: Partial<JoinGroupRequest> = {}): Promise<{ kafka: KafkaClient; member: GroupMember }> => {
      const kafka = await client();
      const joined = await join(kafka, request(groupId, more));
      const member = memberOf(joined, more.groupInstanceId ?? null);
      await sync(kafka, groupId, member, { [joined.memberId]: "all" });
      return { kafka, member };
    };

    it("makes one member, who leads and gets what it assigns to itself", async () => {
      const groupId = group();
      const kafka = await client();
      const joined = await join(kafka, request(groupId));
      expect(joined.leaderId).toBe(joined.memberId);
      expect(joined).toMatchObject({ generationId: 1, protocolName });
      expect(joined.members).toEqual([{ memberId: joined.memberId, groupInstanceId: null, metadata: metadata("m") }]);
      expect(String(await sync(kafka, groupId, memberOf(joined), { [joined.memberId]: "mine" }))).toBe("mine");
      await kafka.heartbeat(groupId, memberOf(joined));
    });

    it("tells a stable member by its heartbeat that another one came, and gives both their parts", async () => {
      const groupId = group();
      const { kafka, member } = await alone(groupId);
      const second = await client();
      const joining = join(second, request(groupId, { protocols: [{ name: protocolName, metadata: metadata("second") }] }));
      await expect.poll(() => kafka.heartbeat(groupId, member).catch((error: unknown) => error)).toEqual(kafkaCode(27));
      const again = await join(kafka, request(groupId, { memberId: member.memberId }));
      const joined = await joining;
      expect(again.memberId).toBe(member.memberId);
      expect(joined.generationId).toBe(again.generationId);
      expect(again.leaderId).toBe(member.memberId);
      expect(joined.members).toEqual([]);
      expect(again.members.map((each) => textOf(each.metadata)).toSorted()).toEqual(["m", "second"]);
      const followed = sync(second, groupId, memberOf(joined));
      const led = sync(kafka, groupId, memberOf(again), { [again.memberId]: "first part", [joined.memberId]: "second part" });
      expect([String(await led), String(await followed)]).toEqual(["first part", "second part"]);
      await expect(kafka.heartbeat(groupId, member)).rejects.toEqual(kafkaCode(22));
      const same = { memberId: joined.memberId, protocols: [{ name: protocolName, metadata: metadata("second") }] };
      expect((await join(second, request(groupId, same))).generationId).toBe(joined.generationId);
    });

    it("drops a member that is silent for its session timeout", async () => {
      const groupId = group();
      const { kafka, member } = await alone(groupId);
      const second = await client();
      // The second never joins again; the first is waited for no longer than the second's session lasts.
      const joined = join(second, request(groupId));
      await expect.poll(() => kafka.heartbeat(groupId, member).catch((error: unknown) => error)).toEqual(kafkaCode(27));
      const again = await join(kafka, request(groupId, { memberId: member.memberId }));
      await joined;
      await sync(kafka, groupId, memberOf(again), {});
      const until = async (): Promise<unknown> => kafka.heartbeat(groupId, memberOf(again)).catch((error: unknown) => error);
      await expect.poll(until, { timeout: 60_000, interval: 500 }).toEqual(kafkaCode(27));
      const left = await join(kafka, request(groupId, { memberId: member.memberId }));
      expect(left.members.map((each) => each.memberId)).toEqual([member.memberId]);
    });

    it("lets the others go on at once when a member leaves", async () => {
      const groupId = group();
      const { kafka, member } = await alone(groupId);
      await kafka.leaveGroup(groupId, member);
      await expect(kafka.heartbeat(groupId, member)).rejects.toEqual(kafkaCode(25));
      const { member: next } = await alone(groupId);
      expect(next.memberId).not.toBe(member.memberId);
    });

    it("ends the join of a member that leaves while it waits for the others", async () => {
      const groupId = group();
      await alone(groupId);
      // A static member knows its place without an answer to its join.
      const second = await client();
      const joining = join(second, request(groupId, { groupInstanceId: "pod-9" })).catch((error: unknown) => error);
      const joined = async (): Promise<number> => (await admin.describeGroup(groupId)).members.length;
      await expect.poll(joined).toBe(2);
      await second.leaveGroup(groupId, { generationId: -1, memberId: "", groupInstanceId: "pod-9" });
      expect(await joining).toEqual(kafkaCode(25));
    });

    it("gives a static member its place and its assignment back, and fences who held it before", async () => {
      const groupId = group();
      const { kafka, member } = await alone(groupId, { groupInstanceId: "pod-0" });
      const restarted = await client();
      const joined = await join(restarted, request(groupId, { groupInstanceId: "pod-0" }));
      expect(joined.generationId).toBe(member.generationId);
      expect(joined.memberId).not.toBe(member.memberId);
      const now = memberOf(joined, "pod-0");
      expect(String(await sync(restarted, groupId, now))).toBe("all");
      await restarted.heartbeat(groupId, now);
      await expect(kafka.heartbeat(groupId, member)).rejects.toEqual(kafkaCode(82));
      await expect(join(kafka, request(groupId, { groupInstanceId: "pod-0", memberId: member.memberId }))).rejects.toEqual(kafkaCode(82));
    });

    it("takes commits of today's members only, and of transactions without a member", async () => {
      const groupId = group();
      const { kafka, member } = await alone(groupId, { groupInstanceId: "pod-1" });
      const at = (offset: number) => [{ topic, partition: 0, offset, leaderEpoch: -1, metadata: "" }];
      await kafka.commitGroupOffsets(groupId, at(1), member);
      const stale = { ...member, generationId: member.generationId - 1 };
      await expect(kafka.commitGroupOffsets(groupId, at(2), stale)).rejects.toMatchObject({ code: "KAFKA_FENCED" });
      await expect(kafka.commitGroupOffsets(groupId, at(2))).rejects.toMatchObject({ code: "KAFKA_FENCED" });
      const id = `${groupId}.tx`;
      let owner = { transactionalId: id, ...(await kafka.initProducerId(id, 60_000)) };
      await expect(kafka.commitOffsetsInTransaction(owner, groupId, at(3), stale)).rejects.toMatchObject({ code: "KAFKA_FENCED" });
      owner = { transactionalId: id, ...(await kafka.initProducerId(id, 60_000)) };
      await kafka.commitOffsetsInTransaction(owner, groupId, at(4), member);
      await kafka.endTransaction(owner, true);
      owner = { transactionalId: id, ...(await kafka.initProducerId(id, 60_000)) };
      expect((await kafka.groupOffsets(groupId))[0]?.offset).toBe(4);
      await kafka.commitOffsetsInTransaction(owner, groupId, at(5));
      await kafka.endTransaction(owner, true);
      await kafka.initProducerId(id, 60_000);
      expect((await kafka.groupOffsets(groupId))[0]?.offset).toBe(5);
    });

    it("refuses a member that shares no protocol with the others", async () => {
      const groupId = group();
      await alone(groupId);
      const other = await client();
      const refused = join(other, request(groupId, { protocols: [{ name: "another", metadata: metadata("") }] }));
      await expect(refused).rejects.toEqual(kafkaCode(23));
    });

    it("describes a group, and deletes it once it has no members", async () => {
      const groupId = group();
      expect(await admin.describeGroup(groupId)).toMatchObject({ state: "Dead", members: [] });
      const { kafka, member } = await alone(groupId, { groupInstanceId: "pod-2" });
      expect(await admin.describeGroup(groupId)).toMatchObject({
        state: "Stable",
        protocolName,
        members: [{ memberId: member.memberId, groupInstanceId: "pod-2", assignment: Buffer.from("all") }],
      });
      await expect(admin.deleteGroup(groupId)).rejects.toMatchObject({ code: "KAFKA_GROUP_IN_USE" });
      await kafka.leaveGroup(groupId, member);
      await admin.deleteGroup(groupId);
      await admin.deleteGroup(groupId);
      expect(await admin.describeGroup(groupId)).toMatchObject({ state: "Dead" });
    });

    it("tells the configuration of a topic", async () => {
      const configs = await admin.topicConfigs(topic);
      expect([configs.get("cleanup.policy"), configs.get("segment.ms")]).toEqual(["compact", "12345"]);
      await expect(admin.topicConfigs(`${run}-never`)).rejects.toMatchObject({ code: "KAFKA_TOPIC_MISSING" });
    });
  });
}
