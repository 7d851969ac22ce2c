// The leader's part in a group: from what the members say to what each of them is to do.
import type { JoinedMember } from "../../connectors/kafka/wire/group-apis.ts";
import type { AppPlan } from "./app-plan.ts";
import { assignTasks, type AssignmentOptions } from "./assignment/assign.ts";
import { decodeNews, encodeOrders, type Orders, ordersOf, rulingFingerprint } from "./assignment/group-protocol.ts";

/** Throws EMBEDDED_GROUP_FOREIGN. */
export function lead(
  groupId: string,
  plan: AppPlan,
  members: readonly JoinedMember[],
  options: AssignmentOptions,
): ReadonlyMap<string, Uint8Array> {
  const all = members.map(({ memberId, metadata }) => ({ memberId, ...decodeNews(groupId, metadata) }));
  const shutdown = all.find((each) => each.shutdown !== undefined)?.shutdown;
  if (shutdown !== undefined)
    return new Map(all.map(({ memberId }) => [memberId, encodeOrders([], refusal("EMBEDDED_SHUTDOWN", shutdown))]));
  const ruling = rulingFingerprint(all);
  // A leader whose own dataflow does not count cannot hand out the tasks of another one: it goes, and the next leader can.
  const able = ruling === plan.fingerprint ? all.filter((each) => each.fingerprint === ruling) : [];
  const assigned = assignTasks(
    plan.tasks,
    able.map(({ memberId, rack, owned, lags }) => ({ memberId, rack, owned: new Set(owned), lags: new Map(Object.entries(lags)) })),
    options,
  );
  const hosts: Record<string, readonly string[]> = {};
  const copies: Record<string, readonly string[]> = {};
  for (const { memberId, url } of able) {
    if (url === undefined) continue;
    hosts[url] = assigned.byMember.get(memberId)?.active ?? [];
    copies[url] = assigned.byMember.get(memberId)?.standby ?? [];
  }
  return new Map(
    all.map(({ memberId, fingerprint, owned }) => {
      if (fingerprint !== ruling)
        return [memberId, encodeOrders([], refusal("EMBEDDED_TOPOLOGY", "its dataflow differs from that of the members that run"))];
      // Who cannot be told better keeps what it has.
      const orders = ruling === plan.fingerprint ? ordersOf(assigned, memberId) : { active: owned, standby: [], pending: 1 };
      return [
        memberId,
        encodeOrders(
          orders.active.flatMap((id) => plan.partitionsOf(id)),
          { ...orders, hosts, copies },
        ),
      ];
    }),
  );
}

function refusal(code: string, problem: string): Orders {
  return { active: [], standby: [], pending: 0, refused: { code, problem } };
}
