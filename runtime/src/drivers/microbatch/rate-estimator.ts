// How many records a batch may have so that it is done within its trigger's interval: a controller over what batches took.
// The gains are those of Spark's receiver rate estimator: proportional 1, integral 0.2, derivative 0.

const proportional = 1;
const integral = 0.2;
/** Never fewer, so that a query that was slow once gets on again. */
const leastPerSecond = 100;

export class RateEstimator {
  readonly #intervalMs: number;
  #perSecond: number | undefined;
  #lastMs = 0;

  constructor(intervalMs: number) {
    this.#intervalMs = intervalMs;
  }

  /** A batch of `records` was processed in `processingMs`, `schedulingDelayMs` after it was due; `atMs` is its end. */
  observe(atMs: number, records: number, processingMs: number, schedulingDelayMs: number): void {
    if (records <= 0 || processingMs <= 0 || atMs <= this.#lastMs) return;
    const processed = (records * 1000) / processingMs;
    if (this.#perSecond === undefined) {
      this.#perSecond = Math.max(processed, leastPerSecond);
      this.#lastMs = atMs;
      return;
    }
    const error = this.#perSecond - processed;
    // What waited meanwhile: the records that the delay stands for, over the interval.
    const historical = (schedulingDelayMs * processed) / Math.max(1, this.#intervalMs);
    this.#perSecond = Math.max(leastPerSecond, this.#perSecond - proportional * error - integral * historical);
    this.#lastMs = atMs;
  }

  /** The most records of the next batch; Infinity before the first was seen. */
  maxRecords(): number {
    return this.#perSecond === undefined ? Infinity : Math.max(1, Math.floor((this.#perSecond * Math.max(1, this.#intervalMs)) / 1000));
  }
}
