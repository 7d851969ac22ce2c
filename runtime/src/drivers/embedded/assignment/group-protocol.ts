// What members of an application's group tell the leader and what it answers: JSON in the user data of the consumer protocol.
import { MillraceError } from "../../../base/errors.ts";
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
} from "../../../connectors/kafka/group/consumer-protocol.ts";
import type { TopicPartition } from "../../../connectors/kafka/wire/api.ts";
import type { GroupAssignment } from "./assign.ts";

/** Goes up when members of the older version could not understand the newer one. */
const version = 1;

export interface MemberNews {
  /** Tells processes apart in logs. */
  readonly process: string;
  /** Of the topology: members that differ in it cannot share tasks. */
  readonly fingerprint: string;
  readonly rack?: string;
  /** Where the process answers over HTTP. */
  readonly url?: string;
  readonly owned: readonly string[];
  /** Copies of state, with how many records each is behind. */
  readonly lags: Readonly<Record<string, number>>;
  /** Another number makes the group hold another round. */
  readonly round: number;
  /** Why the whole application is to stop. */
  readonly shutdown?: string;
}

export interface Orders {
  readonly active: readonly string[];
  readonly standby: readonly string[];
  /** Tasks that nobody has while they are handed over, and tasks that wait for a copy to be warm. */
  readonly pending: number;
  /** Who has which task: the addresses of the members that have one, with their active tasks. */
  readonly hosts?: Readonly<Record<string, readonly string[]>>;
  /** Who keeps a copy of which task's state; none from a leader of an older version. */
  readonly copies?: Readonly<Record<string, readonly string[]>>;
  /** Why this member gets nothing. */
  readonly refused?: { readonly code: string; readonly problem: string };
}

export function encodeNews(topics: readonly string[], owned: readonly TopicPartition[], news: MemberNews): Buffer {
  return encodeSubscription({ topics, userData: Buffer.from(JSON.stringify({ version, ...news })), owned });
}

/** Throws EMBEDDED_GROUP_FOREIGN for what no member of an application says. */
export function decodeNews(groupId: string, metadata: Buffer): MemberNews {
  try {
    const found = JSON.parse(String(decodeSubscription(metadata).userData)) as MemberNews & { readonly version: number };
    if (found.version === version) return found;
    throw foreign(groupId, `a member speaks version ${found.version} of the group's protocol, this one ${version}`);
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof RangeError) throw foreign(groupId, "a member of the group is no such application");
    throw error;
  }
}

function foreign(groupId: string, problem: string): MillraceError {
  return new MillraceError(
    "EMBEDDED_GROUP_FOREIGN",
    `group ${groupId}`,
    problem,
    "give the application an id that nothing else uses as its group",
  );
}

export function encodeOrders(partitions: readonly TopicPartition[], orders: Orders): Buffer {
  return encodeAssignment({ partitions, userData: Buffer.from(JSON.stringify(orders)) });
}

/** A member whom the leader did not know yet has no orders. */
export function decodeOrders(assignment: Buffer): Orders {
  const { userData } = decodeAssignment(assignment);
  if (userData.length === 0) return { active: [], standby: [], pending: 0 };
  return JSON.parse(String(userData)) as Orders;
}

/** A process that comes back under its instance id gets the orders of the round before, in which it had another address. */
export function missesAddress({ hosts = {} }: Orders, url: string | undefined): boolean {
  return url !== undefined && Object.keys(hosts).length > 0 && hosts[url] === undefined;
}

/** Orders from an assignment. */
export function ordersOf({ byMember, warming, handedOver }: GroupAssignment, memberId: string): Orders {
  const { active, standby } = byMember.get(memberId) ?? { active: [], standby: [] };
  return { active, standby, pending: warming.length + handedOver.length };
}

/** Whose topology counts: that of the members who run most tasks, then of most members. The others are refused. */
export function rulingFingerprint(members: readonly Pick<MemberNews, "fingerprint" | "owned">[]): string {
  const votes = new Map<string, { owned: number; members: number }>();
  for (const { fingerprint, owned } of members) {
    const vote = votes.get(fingerprint) ?? { owned: 0, members: 0 };
    votes.set(fingerprint, { owned: vote.owned + owned.length, members: vote.members + 1 });
  }
  const ranked = [...votes].toSorted(([a, x], [b, y]) => y.owned - x.owned || y.members - x.members || (a < b ? -1 : 1));
  return ranked[0]?.[0] ?? "";
}
