// The marker that a transaction commits with its records: the last checkpoint committed, of this life of the sink and of the lives before it.
import type { GroupOffset } from "../wire/offset-apis.ts";

/** Brokers refuse metadata above 4096 bytes (offset.metadata.max.bytes); a life takes about 20. */
const mostBytes = 3500;

/**
 * The highest committed checkpoint per life, the newest life first. A life is one start of the sink. Older ones are kept, so that a
 * savepoint from before several restarts is still known to be committed.
 */
export type CommitHistory = ReadonlyMap<string, number>;

/** The group whose committed offset is an instance's marker. */
export function markerGroup(prefix: string, subtask: number): string {
  return `${prefix}.commits.${subtask}`;
}

/** The history with a checkpoint of `life` added, as offset and metadata of the marker. */
export function markerOffset(topic: string, life: string, checkpointId: number, history: CommitHistory): GroupOffset {
  const parts = [`${life}:${checkpointId}`];
  let size = parts[0]?.length ?? 0;
  for (const [other, committed] of history) {
    const part = `${other}:${committed}`;
    size += part.length + 1;
    if (other === life) continue;
    if (size > mostBytes) break;
    parts.push(part);
  }
  return { topic, partition: 0, offset: checkpointId, leaderEpoch: -1, metadata: parts.join(";") };
}

/** What a group's markers say together; a sink that writes to several topics has one per topic. */
export function readHistory(offsets: readonly GroupOffset[]): CommitHistory {
  const history = new Map<string, number>();
  for (const { metadata } of offsets) {
    for (const part of metadata.split(";")) {
      const [life = "", committed = ""] = part.split(":");
      if (life === "" || !/^\d+$/.test(committed)) continue;
      history.set(life, Math.max(history.get(life) ?? -1, Number(committed)));
    }
  }
  return history;
}
