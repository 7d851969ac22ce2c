// Whether the numbers of instances that a manifest gives single operators fit the job.
import { MillraceError } from "../../base/errors.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import type { RunConfig } from "./run-config.ts";

/** Throws OPTION_INVALID for an operator that the job does not have, and for a number that none can have. */
export function checkVertexParallelism(dataflow: Dataflow, config: Pick<RunConfig, "vertexParallelism" | "maxParallelism">): void {
  const { vertexParallelism, maxParallelism } = config;
  const known = new Set(dataflow.nodes.map(({ uid }) => uid));
  for (const [uid, value] of Object.entries(vertexParallelism)) {
    const subject = `spec.vertexParallelism of "${uid}"`;
    if (!known.has(uid)) {
      throw new MillraceError("OPTION_INVALID", subject, "the job has no such operator", `give one of ${[...known].join(", ")}`);
    }
    if (Number.isInteger(value) && value >= 1 && value <= maxParallelism) continue;
    throw new MillraceError("OPTION_INVALID", subject, `${value} is not possible`, `give a whole number from 1 to ${maxParallelism}`);
  }
}
