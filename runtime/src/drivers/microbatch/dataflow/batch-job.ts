// A running job in batches: one per trigger, planned, processed and committed, until its input ends, it is stopped, or it fails.
import { systemClock } from "../../../base/clock.ts";
import { BatchLoop } from "../batch-loop.ts";
import type { BatchJobOptions } from "./batch-job-options.ts";
import { JobWork } from "./job-work.ts";
import { openBatchJob } from "./open-batch-job.ts";

export class BatchJob extends BatchLoop {
  /** Opens and restores the job, then runs it. Rejects with why it cannot run at all. */
  static async start(options: BatchJobOptions): Promise<BatchJob> {
    const { clock = systemClock, maxRecordsPerTrigger, backpressure, onProgress } = options;
    const work = new JobWork(await openBatchJob(options), options);
    return new BatchJob(work, { clock, maxRecordsPerTrigger, backpressure, onProgress });
  }
}
