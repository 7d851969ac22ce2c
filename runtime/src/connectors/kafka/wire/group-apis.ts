// Requests of a consumer group: joining, agreeing on an assignment, staying alive, leaving, and looking at a group from outside.
import type { KafkaApi } from "./api.ts";
import type { GroupMember } from "./offset-apis.ts";

/** Static members keep their place for the session timeout while they are away: a restart within it moves nothing. */
export interface JoinGroupRequest {
  readonly groupId: string;
  /** Empty for a new member. */
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly sessionTimeoutMs: number;
  /** How long the others are waited for when the group forms anew. */
  readonly rebalanceTimeoutMs: number;
  readonly protocolType: string;
  readonly protocols: readonly { readonly name: string; readonly metadata: Uint8Array }[];
}

export interface JoinedMember {
  readonly memberId: string;
  readonly groupInstanceId: string | null;
  readonly metadata: Buffer;
}

export interface JoinedGroup {
  readonly errorCode: number;
  readonly generationId: number;
  readonly protocolName: string | null;
  readonly leaderId: string;
  readonly memberId: string;
  /** Only told to the leader. */
  readonly members: readonly JoinedMember[];
}

export const joinGroupApi: KafkaApi<JoinGroupRequest, JoinedGroup> = {
  name: "JoinGroup",
  key: 11,
  version: 7,
  flexible: true,
  encode(writer, request) {
    writer.string(request.groupId).i32(request.sessionTimeoutMs).i32(request.rebalanceTimeoutMs);
    writer.string(request.memberId).string(request.groupInstanceId).string(request.protocolType);
    writer.array(request.protocols, ({ name, metadata }) => writer.string(name).bytes(metadata).tags()).tags();
  },
  decode(reader) {
    reader.i32();
    const errorCode = reader.i16();
    const generationId = reader.i32();
    reader.nullableString();
    const protocolName = reader.nullableString();
    const leaderId = reader.string();
    const memberId = reader.string();
    const members = reader.array(() => {
      const member = { memberId: reader.string(), groupInstanceId: reader.nullableString(), metadata: Buffer.from(reader.bytes()) };
      reader.tags();
      return member;
    });
    reader.tags();
    return { errorCode, generationId, protocolName, leaderId, memberId, members };
  },
};

export interface SyncGroupRequest {
  readonly groupId: string;
  readonly member: GroupMember;
  readonly protocolType: string;
  readonly protocolName: string;
  /** Of all members, from the leader; of nobody from the others. */
  readonly assignments: readonly { readonly memberId: string; readonly assignment: Uint8Array }[];
}

export const syncGroupApi: KafkaApi<SyncGroupRequest, { readonly errorCode: number; readonly assignment: Buffer }> = {
  name: "SyncGroup",
  key: 14,
  version: 5,
  flexible: true,
  encode(writer, { groupId, member, protocolType, protocolName, assignments }) {
    writer.string(groupId).i32(member.generationId).string(member.memberId).string(member.groupInstanceId);
    writer.string(protocolType).string(protocolName);
    writer.array(assignments, ({ memberId, assignment }) => writer.string(memberId).bytes(assignment).tags()).tags();
  },
  decode(reader) {
    reader.i32();
    const errorCode = reader.i16();
    reader.nullableString();
    reader.nullableString();
    const assignment = Buffer.from(reader.bytes());
    reader.tags();
    return { errorCode, assignment };
  },
};

export const heartbeatApi: KafkaApi<{ readonly groupId: string; readonly member: GroupMember }, { readonly errorCode: number }> = {
  name: "Heartbeat",
  key: 12,
  version: 4,
  flexible: true,
  encode(writer, { groupId, member }) {
    writer.string(groupId).i32(member.generationId).string(member.memberId).string(member.groupInstanceId).tags();
  },
  decode(reader) {
    reader.i32();
    const errorCode = reader.i16();
    reader.tags();
    return { errorCode };
  },
};

export const leaveGroupApi: KafkaApi<
  { readonly groupId: string; readonly memberId: string; readonly groupInstanceId: string | null },
  { readonly errorCode: number }
> = {
  name: "LeaveGroup",
  key: 13,
  version: 4,
  flexible: true,
  encode(writer, { groupId, memberId, groupInstanceId }) {
    writer.string(groupId);
    writer.array([memberId], (id) => writer.string(id).string(groupInstanceId).tags()).tags();
  },
  decode(reader) {
    reader.i32();
    const whole = reader.i16();
    const members = reader.array(() => {
      reader.string();
      reader.nullableString();
      const code = reader.i16();
      reader.tags();
      return code;
    });
    reader.tags();
    return { errorCode: whole === 0 ? (members[0] ?? 0) : whole };
  },
};

export interface DescribedMember extends JoinedMember {
  readonly clientId: string;
  readonly clientHost: string;
  readonly assignment: Buffer;
}

export interface DescribedGroup {
  readonly errorCode: number;
  /** `Dead` for a group that does not exist. */
  readonly state: string;
  readonly protocolName: string;
  readonly members: readonly DescribedMember[];
}

export const describeGroupsApi: KafkaApi<{ readonly groupId: string }, DescribedGroup> = {
  name: "DescribeGroups",
  key: 15,
  version: 5,
  flexible: true,
  encode(writer, { groupId }) {
    writer
      .array([groupId], (id) => writer.string(id))
      .bool(false)
      .tags();
  },
  decode(reader) {
    reader.i32();
    const groups = reader.array(() => {
      const errorCode = reader.i16();
      reader.string();
      const state = reader.string();
      reader.string();
      const protocolName = reader.string();
      const members = reader.array(() => {
        const member = {
          memberId: reader.string(),
          groupInstanceId: reader.nullableString(),
          clientId: reader.string(),
          clientHost: reader.string(),
          metadata: Buffer.from(reader.bytes()),
          assignment: Buffer.from(reader.bytes()),
        };
        reader.tags();
        return member;
      });
      reader.i32();
      reader.tags();
      return { errorCode, state, protocolName, members };
    });
    reader.tags();
    const [first] = groups;
    if (first === undefined) throw new RangeError("the answer names no group");
    return first;
  },
};

export const deleteGroupsApi: KafkaApi<{ readonly groupId: string }, { readonly errorCode: number }> = {
  name: "DeleteGroups",
  key: 42,
  version: 2,
  flexible: true,
  encode(writer, { groupId }) {
    writer.array([groupId], (id) => writer.string(id)).tags();
  },
  decode(reader) {
    reader.i32();
    const codes = reader.array(() => {
      reader.string();
      const code = reader.i16();
      reader.tags();
      return code;
    });
    reader.tags();
    return { errorCode: codes[0] ?? 0 };
  },
};
