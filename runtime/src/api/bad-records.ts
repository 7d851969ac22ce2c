// What happens to records that cannot be processed.

export interface BadRecordsSpec {
  /**
   * `dead-letter` puts the record aside and goes on; `fail` ends the job's run.
   * @default "dead-letter"
   */
  readonly onBadRecord?: "dead-letter" | "fail";
  /**
   * Above this many bad records in a minute the job fails.
   * @asType integer
   * @minimum 0
   * @maximum 1000000000
   * @default 1000
   */
  readonly maxPerMinute?: number;
  /** Where dead letters go; default the log. Give one of the two. */
  readonly deadLetters?: DeadLettersToKafka | DeadLettersToFiles;
}

export interface DeadLettersToKafka {
  /** To a Kafka topic. */
  readonly kafka: {
    /**
     * Addresses to start from, as `host:port`.
     * @minItems 1
     * @maxItems 50
     */
    readonly brokers: readonly string[];
    /**
     * The topic.
     * @minLength 1
     * @maxLength 249
     */
    readonly topic: string;
  };
}

export interface DeadLettersToFiles {
  /** To files. */
  readonly files: {
    /**
     * The folder.
     * @minLength 1
     * @maxLength 1024
     */
    readonly path: string;
  };
}
