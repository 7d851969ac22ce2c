// How a process is a member of its group, what it tells the leader of itself, and the error of a process that the leader refuses.
import { MillraceError } from "../../base/errors.ts";
import type { MembershipOptions } from "../../connectors/kafka/group/group-membership.ts";
import type { AppPlan } from "./app-plan.ts";
import { encodeNews, type Orders } from "./assignment/group-protocol.ts";
import type { CompleteConfig } from "./config.ts";

const protocolName = "millrace";

export function membershipOptions(
  applicationId: string,
  { instanceId, sessionTimeoutMs, heartbeatIntervalMs }: CompleteConfig,
): MembershipOptions {
  return {
    groupId: applicationId,
    groupInstanceId: instanceId,
    sessionTimeoutMs,
    rebalanceTimeoutMs: sessionTimeoutMs,
    heartbeatIntervalMs,
    protocolName,
  };
}

export interface NewsParts {
  readonly plan: AppPlan;
  readonly config: CompleteConfig;
  readonly owned: readonly string[];
  readonly lags: Readonly<Record<string, number>>;
  readonly round: number;
  readonly shutdown: string | undefined;
  /** Where it answers over HTTP. */
  readonly url: string | undefined;
}

export function newsOf({ plan, config, owned, lags, round, shutdown, url }: NewsParts): Buffer {
  const { processId, rack } = config;
  const partitions = owned.flatMap((id) => plan.partitionsOf(id));
  return encodeNews(plan.topics, partitions, {
    process: processId,
    fingerprint: plan.fingerprint,
    ...(rack === undefined ? {} : { rack }),
    ...(url === undefined ? {} : { url }),
    owned,
    lags,
    round,
    ...(shutdown === undefined ? {} : { shutdown }),
  });
}

export function refusedError(applicationId: string, { code, problem }: NonNullable<Orders["refused"]>): MillraceError {
  const next =
    code === "EMBEDDED_SHUTDOWN"
      ? "see the log of the process that asked for it"
      : "stop all processes before a change of the dataflow, or give the new one another application id";
  return new MillraceError(code, `application ${applicationId}`, problem, next);
}
