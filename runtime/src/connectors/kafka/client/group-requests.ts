// The requests of a consumer group, sent to the group's coordinator on a connection of their own.
import { deleteGroupsApi, describeGroupsApi, heartbeatApi, joinGroupApi, leaveGroupApi, syncGroupApi } from "../wire/group-apis.ts";
import type { DescribedGroup, JoinedGroup, JoinGroupRequest, SyncGroupRequest } from "../wire/group-apis.ts";
import type { GroupMember } from "../wire/offset-apis.ts";
import type { Cluster } from "./cluster.ts";
import type { Connection } from "./connection.ts";
import { KafkaProblem, kafkaCode, throwOnCode } from "./kafka-problem.ts";
import type { Routed } from "./transaction-requests.ts";

// Followers wait at the broker for the leader's assignment; a leader that is gone is noticed there after its session timeout.
const longestSyncMs = 60_000;

export class GroupRequests {
  readonly #cluster: Cluster;
  readonly #routed: Routed;

  constructor(cluster: Cluster, routed: Routed) {
    this.#cluster = cluster;
    this.#routed = routed;
  }

  async join(request: JoinGroupRequest): Promise<JoinedGroup> {
    return this.#once(request.groupId, "group", async (connection) => {
      let joined = await connection.send(joinGroupApi, request, request.rebalanceTimeoutMs);
      // A new member is first told its id, so that a lost answer leaves no member behind that nobody is.
      if (joined.errorCode === kafkaCode.memberIdRequired) {
        joined = await connection.send(joinGroupApi, { ...request, memberId: joined.memberId }, request.rebalanceTimeoutMs);
      }
      throwOnCode(joined.errorCode, `JoinGroup of ${request.groupId}`);
      return joined;
    });
  }

  async sync(request: SyncGroupRequest): Promise<Buffer> {
    return this.#once(request.groupId, "group", async (connection) => {
      const { errorCode, assignment } = await connection.send(syncGroupApi, request, longestSyncMs);
      throwOnCode(errorCode, `SyncGroup of ${request.groupId}`);
      return assignment;
    });
  }

  async heartbeat(groupId: string, member: GroupMember): Promise<void> {
    await this.#once(groupId, "group", async (connection) => {
      throwOnCode((await connection.send(heartbeatApi, { groupId, member })).errorCode, `Heartbeat of ${groupId}`);
    });
  }

  async leave(groupId: string, { memberId, groupInstanceId }: GroupMember): Promise<void> {
    // Not behind a join that waits at the broker: it may wait for exactly this.
    await this.#once(groupId, "control", async (connection) => {
      const { errorCode } = await connection.send(leaveGroupApi, { groupId, memberId, groupInstanceId });
      throwOnCode(errorCode, `LeaveGroup of ${groupId}`);
    });
  }

  describe(groupId: string): Promise<DescribedGroup> {
    return this.#routed({ kind: "group", key: groupId }, `group ${groupId}`, async (connection) => {
      const described = await connection.send(describeGroupsApi, { groupId });
      throwOnCode(described.errorCode, `DescribeGroups of ${groupId}`);
      return described;
    });
  }

  async delete(groupId: string): Promise<void> {
    await this.#routed({ kind: "group", key: groupId }, `group ${groupId}`, async (connection) => {
      const { errorCode } = await connection.send(deleteGroupsApi, { groupId });
      if (errorCode !== kafkaCode.groupNotFound) throwOnCode(errorCode, `DeleteGroups of ${groupId}`);
    });
  }

  async #once<T>(groupId: string, purpose: "group" | "control", attempt: (connection: Connection) => Promise<T>): Promise<T> {
    try {
      const nodeId = await this.#cluster.coordinator("group", groupId);
      return await attempt(await this.#cluster.connection(nodeId, purpose));
    } catch (error) {
      // The next attempt looks for the coordinator again unless this one has answered for the group.
      const lost = error instanceof KafkaProblem && (error.kind === "coordinator" || error.kind === "network" || error.kind === "leader");
      if (lost) this.#cluster.forgetCoordinator("group", groupId);
      throw error;
    }
  }
}
