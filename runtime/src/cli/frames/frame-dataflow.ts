// A DataFrame program's query as the dataflow that its checkpoints are held against: what `millrace plan` prints.
import { MillraceError } from "../../base/errors.ts";
import { analyze } from "../../dataframe/analysis/analyzer.ts";
import { checkMode } from "../../dataframe/analysis/mode-check.ts";
import type { FrameJob } from "../../dataframe/frame-job.ts";
import { Kernel } from "../../drivers/microbatch/kernel/kernel.ts";
import { queryDataflow } from "../../drivers/microbatch/query-dataflow.ts";
import { buildStages } from "../../drivers/microbatch/stages/build-stages.ts";
import type { Dataflow } from "../../plan/dataflow.ts";

/** Reads no record. Rejects with what the analysis refuses. */
export async function frameDataflow(job: FrameJob, parameters: Readonly<Record<string, string>>): Promise<Dataflow> {
  const query = job.build(parameters);
  if (query.kind === "batch") {
    throw new MillraceError(
      "DATAFRAME_UNSUPPORTED",
      `query ${query.name}`,
      "runs once over inputs that end, and keeps nothing that a plan would be held against",
      "give the parameters with which it reads a stream, or run it",
    );
  }
  const kernel = await Kernel.open();
  try {
    const plan = await analyze(query.relation, kernel);
    checkMode(plan, query.mode);
    return queryDataflow(query.name, buildStages(plan, query.mode), query.sink);
  } finally {
    kernel.close();
  }
}
