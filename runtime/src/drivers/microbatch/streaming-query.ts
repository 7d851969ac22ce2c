// A running streaming query: one batch per trigger, until its input ends, it is stopped, or it fails.
import { systemClock } from "../../base/clock.ts";
import { MillraceError } from "../../base/errors.ts";
import type { StreamQuery } from "../../dataframe/query.ts";
import { BatchLoop } from "./batch-loop.ts";
import type { QueryOptions } from "./query-options.ts";
import { openQueryRun } from "./query-run.ts";
import { QueryWork } from "./query-work.ts";

export class StreamingQuery extends BatchLoop {
  /** Opens and restores the query, then runs it. Rejects with why it cannot run at all. */
  static async start(query: StreamQuery, options: QueryOptions = {}): Promise<StreamingQuery> {
    if (query.trigger.kind === "continuous") {
      throw new MillraceError(
        "DATAFRAME_UNSUPPORTED",
        "trigger continuous",
        "is not possible yet",
        "use processingTime with a short interval, or write the job with the dataflow API",
      );
    }
    const { clock = systemClock, maxRecordsPerTrigger, backpressure, onProgress } = options;
    const work = new QueryWork(await openQueryRun(query, options), options);
    return new StreamingQuery(work, { clock, maxRecordsPerTrigger, backpressure, onProgress });
  }
}
