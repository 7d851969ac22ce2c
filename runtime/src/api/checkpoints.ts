// Where a job keeps its checkpoints, and how often it takes one.

export interface CheckpointSpec {
  /**
   * `file:///path` or `s3://bucket/prefix`. Without it the job keeps no snapshots and starts anew each time.
   * @pattern ^(file|s3)://
   * @maxLength 1024
   */
  readonly storage?: string;
  /**
   * Time between two checkpoints, such as `10 s`.
   * @default "10 s"
   * @format duration
   */
  readonly interval?: string | number;
  /**
   * The least time between the end of one and the start of the next. Default 0.
   * @format duration
   */
  readonly minPause?: string | number;
  /**
   * How many completed checkpoints are kept.
   * @asType integer
   * @minimum 1
   * @maximum 1000
   * @default 3
   */
  readonly retained?: number;
  /**
   * How many attempts to write one checkpoint may fail before the job fails.
   * @asType integer
   * @minimum 0
   * @maximum 1000000
   * @default 10
   */
  readonly tolerableFailures?: number;
  /**
   * How long a checkpoint may take. One that takes longer goes on and counts as one more failed attempt.
   * @default "10 min"
   * @format duration
   */
  readonly timeout?: string | number;
  /**
   * How long barriers wait for each other before they overtake the rows in their way, which then become part of the checkpoint. For jobs on
   * several slots.
   * @default "1 s"
   * @format duration
   */
  readonly alignmentTimeout?: string | number;
  /** For `s3://` storage that is not AWS; credentials come from the environment. */
  readonly s3?: S3Access;
}

export interface S3Access {
  /**
   * URL of the S3 endpoint.
   * @minLength 1
   * @maxLength 1024
   */
  readonly endpoint?: string;
  /**
   * Region.
   * @minLength 1
   * @maxLength 64
   */
  readonly region?: string;
  /** Put the bucket in the path, as most S3 servers other than AWS want it. Default false. */
  readonly forcePathStyle?: boolean;
}
