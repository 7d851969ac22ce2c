// What happens after a failure.

export interface RestartSpec {
  /**
   * `exponential`: growing pauses with jitter, counted anew after a good while. `fixed-delay`: the same pause each time. `failure-rate`: given up
   * when too many failures happen within some time. The loss of a TaskManager is not the job's failure and is never counted.
   * @default "exponential"
   */
  readonly strategy?: "exponential" | "fixed-delay" | "failure-rate";
  /**
   * For `exponential` and `fixed-delay`: how many restarts in a row are tried before the job fails for good.
   * @asType integer
   * @minimum 0
   * @maximum 1000000
   * @default 10
   */
  readonly maxAttempts?: number;
  /**
   * The pause before a restart; for `exponential` the first one. Default 500 ms.
   * @format duration
   */
  readonly delay?: string | number;
  /**
   * For `exponential`: the longest pause.
   * @default "1 min"
   * @format duration
   */
  readonly maxDelay?: string | number;
  /**
   * For `exponential`: after running this long the count starts anew.
   * @default "2 min"
   * @format duration
   */
  readonly resetAfter?: string | number;
  /**
   * For `failure-rate`: more failures than this within `per` end the job.
   * @asType integer
   * @minimum 0
   * @maximum 1000000
   * @default 10
   */
  readonly maxFailures?: number;
  /**
   * For `failure-rate`.
   * @default "10 min"
   * @format duration
   */
  readonly per?: string | number;
}
