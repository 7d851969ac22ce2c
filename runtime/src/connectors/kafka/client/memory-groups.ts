// The group coordinator of the Kafka in memory: members with sessions, rebalances that wait for everybody, static members, fencing.
import type { DescribedGroup, JoinedGroup, JoinGroupRequest, SyncGroupRequest } from "../wire/group-apis.ts";
import type { GroupMember } from "../wire/offset-apis.ts";
import { kafkaCode, problemOf, toMillraceError } from "./kafka-problem.ts";

interface Member {
  memberId: string;
  readonly groupInstanceId: string | null;
  protocols: JoinGroupRequest["protocols"];
  sessionTimeoutMs: number;
  rebalanceTimeoutMs: number;
  assignment: Buffer;
  joining: PromiseWithResolvers<JoinedGroup> | undefined;
  syncing: PromiseWithResolvers<Buffer> | undefined;
  session: NodeJS.Timeout | undefined;
}

interface Group {
  state: "Empty" | "PreparingRebalance" | "CompletingRebalance" | "Stable";
  generationId: number;
  leaderId: string;
  protocolName: string;
  readonly members: Map<string, Member>;
  deadline: NodeJS.Timeout | undefined;
}

export class MemoryGroups {
  readonly #groups = new Map<string, Group>();
  #nextMember = 1;

  #group(groupId: string): Group {
    const known = this.#groups.get(groupId);
    if (known !== undefined) return known;
    const made: Group = { state: "Empty", generationId: 0, leaderId: "", protocolName: "", members: new Map(), deadline: undefined };
    this.#groups.set(groupId, made);
    return made;
  }

  join(request: JoinGroupRequest): Promise<JoinedGroup> {
    const group = this.#group(request.groupId);
    const { groupInstanceId, memberId, protocols } = request;
    const same =
      groupInstanceId === null ? undefined : [...group.members.values()].find((each) => each.groupInstanceId === groupInstanceId);
    if (memberId !== "" && same !== undefined && same.memberId !== memberId) throw problemOf(kafkaCode.fencedInstance, "JoinGroup");
    if (memberId !== "" && !group.members.has(memberId)) throw problemOf(kafkaCode.unknownMember, "JoinGroup");
    const others = [...group.members.values()].filter((each) => each !== same && each.memberId !== memberId);
    const shared = protocols.some(({ name }) => others.every((other) => other.protocols.some((each) => each.name === name)));
    if (!shared) throw problemOf(23, "JoinGroup");
    if (memberId === "" && same !== undefined) return this.#replace(group, same, request);
    const known = group.members.get(memberId);
    if (known !== undefined && memberId !== group.leaderId && group.state === "Stable" && sameProtocols(known.protocols, protocols)) {
      const { generationId, leaderId, protocolName } = group;
      return Promise.resolve({ errorCode: 0, generationId, protocolName, leaderId, memberId, members: [] });
    }
    const member = known ?? this.#add(group, request);
    member.protocols = protocols;
    member.sessionTimeoutMs = request.sessionTimeoutMs;
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs;
    return this.#await(group, member);
  }

  #add(group: Group, { groupInstanceId, protocols, sessionTimeoutMs, rebalanceTimeoutMs }: JoinGroupRequest): Member {
    const memberId = `${groupInstanceId ?? "member"}-${this.#nextMember++}`;
    const member: Member = {
      memberId,
      groupInstanceId,
      protocols,
      sessionTimeoutMs,
      rebalanceTimeoutMs,
      assignment: Buffer.alloc(0),
      joining: undefined,
      syncing: undefined,
      session: undefined,
    };
    group.members.set(memberId, member);
    return member;
  }

  // A static member that comes back takes its place under a new id; a stable group does not move for it.
  #replace(group: Group, member: Member, request: JoinGroupRequest): Promise<JoinedGroup> {
    group.members.delete(member.memberId);
    member.joining?.reject(problemOf(kafkaCode.fencedInstance, "JoinGroup"));
    member.syncing?.reject(problemOf(kafkaCode.fencedInstance, "SyncGroup"));
    const { leaderId } = group;
    if (group.leaderId === member.memberId) group.leaderId = "";
    member.memberId = `${member.groupInstanceId}-${this.#nextMember++}`;
    member.protocols = request.protocols;
    member.joining = undefined;
    member.syncing = undefined;
    group.members.set(member.memberId, member);
    if (group.leaderId === "") group.leaderId = member.memberId;
    if (group.state !== "Stable") return this.#await(group, member);
    this.#touch(group, member);
    const { generationId, protocolName } = group;
    return Promise.resolve({ errorCode: 0, generationId, protocolName, leaderId, memberId: member.memberId, members: [] });
  }

  #await(group: Group, member: Member): Promise<JoinedGroup> {
    clearTimeout(member.session);
    const joining = Promise.withResolvers<JoinedGroup>();
    member.joining = joining;
    // Of a member that is removed while it waits, nobody may be listening any more.
    joining.promise.catch(() => undefined);
    this.#prepare(group);
    this.#completeIfAllJoined(group);
    return joining.promise;
  }

  #prepare(group: Group): void {
    if (group.state === "PreparingRebalance") return;
    group.state = "PreparingRebalance";
    for (const member of group.members.values()) {
      member.syncing?.reject(problemOf(kafkaCode.rebalanceInProgress, "SyncGroup"));
      member.syncing = undefined;
    }
    const longestMs = Math.max(...[...group.members.values()].map((each) => each.rebalanceTimeoutMs));
    clearTimeout(group.deadline);
    group.deadline = setTimeout(() => {
      for (const member of group.members.values()) if (member.joining === undefined) group.members.delete(member.memberId);
      this.#completeIfAllJoined(group);
    }, longestMs);
    group.deadline.unref();
  }

  #completeIfAllJoined(group: Group): void {
    const members = [...group.members.values()];
    if (group.state !== "PreparingRebalance" || members.some((each) => each.joining === undefined)) return;
    clearTimeout(group.deadline);
    group.generationId++;
    group.state = members.length === 0 ? "Empty" : "CompletingRebalance";
    const [first] = members;
    if (first === undefined) return;
    if (!group.members.has(group.leaderId)) group.leaderId = first.memberId;
    const { generationId, leaderId } = group;
    const protocolName =
      first.protocols.find(({ name }) => members.every((each) => each.protocols.some((one) => one.name === name)))?.name ?? "";
    group.protocolName = protocolName;
    const all = members.map(({ memberId, groupInstanceId, protocols }) => {
      const metadata = Buffer.from(protocols.find(({ name }) => name === protocolName)?.metadata ?? []);
      return { memberId, groupInstanceId, metadata };
    });
    for (const member of members) {
      const answer = { errorCode: 0, generationId, protocolName, leaderId, memberId: member.memberId };
      member.joining?.resolve({ ...answer, members: member.memberId === leaderId ? all : [] });
      member.joining = undefined;
      this.#touch(group, member);
    }
  }

  #touch(group: Group, member: Member): void {
    clearTimeout(member.session);
    member.session = setTimeout(() => this.#remove(group, member), member.sessionTimeoutMs);
    member.session.unref();
  }

  #remove(group: Group, member: Member): void {
    clearTimeout(member.session);
    group.members.delete(member.memberId);
    member.joining?.reject(problemOf(kafkaCode.unknownMember, "JoinGroup"));
    member.syncing?.reject(problemOf(kafkaCode.unknownMember, "SyncGroup"));
    if (group.members.size === 0) {
      group.state = "Empty";
      group.generationId++;
      clearTimeout(group.deadline);
      return;
    }
    this.#prepare(group);
    this.#completeIfAllJoined(group);
  }

  #member(groupId: string, { generationId, memberId, groupInstanceId }: GroupMember, what: string): { group: Group; member: Member } {
    const group = this.#group(groupId);
    const member = group.members.get(memberId);
    const same = [...group.members.values()].find((each) => groupInstanceId !== null && each.groupInstanceId === groupInstanceId);
    if (same !== undefined && same !== member) throw problemOf(kafkaCode.fencedInstance, what);
    if (member === undefined) throw problemOf(kafkaCode.unknownMember, what);
    if (generationId !== group.generationId) throw problemOf(kafkaCode.illegalGeneration, what);
    return { group, member };
  }

  async sync(request: SyncGroupRequest): Promise<Buffer> {
    const { group, member } = this.#member(request.groupId, request.member, "SyncGroup");
    if (group.state === "PreparingRebalance") throw problemOf(kafkaCode.rebalanceInProgress, "SyncGroup");
    if (group.state === "Stable") return member.assignment;
    member.syncing = Promise.withResolvers<Buffer>();
    const { promise } = member.syncing;
    promise.catch(() => undefined);
    if (member.memberId === group.leaderId) {
      const byMember = new Map(request.assignments.map((each) => [each.memberId, Buffer.from(each.assignment)]));
      group.state = "Stable";
      for (const each of group.members.values()) {
        each.assignment = byMember.get(each.memberId) ?? Buffer.alloc(0);
        each.syncing?.resolve(each.assignment);
        each.syncing = undefined;
      }
    }
    return promise;
  }

  heartbeat(groupId: string, as: GroupMember): void {
    const { group, member } = this.#member(groupId, as, "Heartbeat");
    if (member.joining === undefined) this.#touch(group, member);
    if (group.state === "PreparingRebalance") throw problemOf(kafkaCode.rebalanceInProgress, "Heartbeat");
  }

  leave(groupId: string, { memberId, groupInstanceId }: GroupMember): void {
    const group = this.#group(groupId);
    const placed = [...group.members.values()].find((each) => groupInstanceId !== null && each.groupInstanceId === groupInstanceId);
    if (placed !== undefined && memberId !== "" && placed.memberId !== memberId) throw problemOf(kafkaCode.fencedInstance, "LeaveGroup");
    const member = placed ?? group.members.get(memberId);
    if (member === undefined) throw problemOf(kafkaCode.unknownMember, "LeaveGroup");
    this.#remove(group, member);
  }

  /** What a coordinator checks of a commit of offsets (KIP-447): transactions may commit without being a member. */
  checkCommit(groupId: string, member: GroupMember | undefined, transactional: boolean): void {
    const group = this.#groups.get(groupId);
    if (member !== undefined && (member.generationId >= 0 || member.memberId !== "" || member.groupInstanceId !== null)) {
      try {
        this.#member(groupId, member, "OffsetCommit");
      } catch (problem) {
        throw toMillraceError(problem, `group ${groupId}`);
      }
    } else if (!transactional && group !== undefined && group.members.size > 0) {
      throw toMillraceError(problemOf(kafkaCode.unknownMember, "OffsetCommit"), `group ${groupId}`);
    }
  }

  describe(groupId: string): DescribedGroup {
    const group = this.#groups.get(groupId);
    if (group === undefined) return { errorCode: 0, state: "Dead", protocolName: "", members: [] };
    const stable = group.state === "Stable";
    const members = [...group.members.values()].map(({ memberId, groupInstanceId, protocols, assignment }) => ({
      memberId,
      groupInstanceId,
      clientId: "memory",
      clientHost: "memory",
      metadata: Buffer.from(stable ? (protocols.find(({ name }) => name === group.protocolName)?.metadata ?? []) : []),
      assignment: stable ? assignment : Buffer.alloc(0),
    }));
    return { errorCode: 0, state: group.state, protocolName: stable ? group.protocolName : "", members };
  }

  delete(groupId: string): void {
    const group = this.#groups.get(groupId);
    if (group !== undefined && group.members.size > 0) throw toMillraceError(problemOf(68, "DeleteGroups"), `group ${groupId}`);
    this.#groups.delete(groupId);
  }
}

function sameProtocols(one: JoinGroupRequest["protocols"], other: JoinGroupRequest["protocols"]): boolean {
  const equal = ({ name, metadata }: (typeof one)[number], index: number): boolean =>
    other[index]?.name === name && Buffer.from(metadata).equals(Buffer.from(other[index].metadata));
  return one.length === other.length && one.every(equal);
}
