// Savepoints that an operation took, as resources: they belong to the user and outlive the job.
import type { SavepointStatus } from "millrace/api";
import { typeOf } from "../ports/kind-table.ts";
import type { Savepoint } from "../ports/objects.ts";
import { statusOf } from "./draft.ts";
import { jobLabels, keyOfJob } from "./names.ts";
import { digest, shortName } from "../resource/names.ts";
import type { Observed } from "./observed.ts";
import type { RevisionSpec } from "./revision.ts";

/** What is known of a savepoint that an operation took, on the resource that is made for it. */
export const takenAnnotation = "millrace.dev/taken";

/** The one that is not a resource yet. */
export function savepointToRecord(seen: Observed): Savepoint | undefined {
  const { upgrade, lastUpgrade } = statusOf(seen);
  const from = upgrade?.savepoint === undefined ? lastUpgrade : upgrade;
  if (from?.savepoint === undefined || seen.terminating) return undefined;
  const name = shortName(seen.job.metadata.name, from.kind, digest(from.id).slice(0, 8));
  const there = seen.savepoints.find((savepoint) => savepoint.metadata.name === name);
  if (there !== undefined) return undefined;
  // A user may have deleted it since: it is made once, while its operation goes on or has just ended.
  if (upgrade?.savepoint === undefined && lastUpgrade !== undefined && seen.nowMs - Date.parse(lastUpgrade.endedAt) > 60_000)
    return undefined;
  if (upgrade?.savepoint === undefined && statusOf(seen).savepoints?.last === name) return undefined;
  const revisionName = typeof from.from === "string" ? from.from : from.from?.revision;
  const spec = seen.revisions.find((revision) => revision.name === revisionName)?.spec;
  const trigger = from.kind === "suspend" ? "suspend" : from.kind === "delete" ? "deletion" : "upgrade";
  const status: SavepointStatus = {
    trigger,
    location: from.savepoint,
    ...(revisionName === undefined ? {} : { revision: revisionName }),
    startedAt: from.startedAt,
    completedAt: new Date(seen.nowMs).toISOString(),
    ...from.savepointFacts,
    ...(spec === undefined ? {} : { access: accessOf(spec) }),
  };
  return {
    ...typeOf("Savepoint"),
    metadata: {
      name,
      namespace: keyOfJob(seen.job).namespace,
      labels: jobLabels(seen.job.metadata.name),
      // Its status is its own controller's to write.
      annotations: { [takenAnnotation]: JSON.stringify(status) },
    },
    spec: { job: seen.job.metadata.name, location: from.savepoint, disposal: "Delete" },
  };
}

/** What a disposal needs when the job is gone. */
export function accessOf(spec: RevisionSpec): NonNullable<SavepointStatus["access"]> {
  return {
    image: spec.image,
    ...(spec.podTemplate === undefined ? {} : { podTemplate: JSON.stringify(spec.podTemplate) }),
    ...(spec.checkpoints?.s3 === undefined ? {} : { s3: JSON.stringify(spec.checkpoints.s3) }),
  };
}
