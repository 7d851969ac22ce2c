// How a StreamJob is upgraded, rolled back, saved and deleted.

export interface UpgradeSpec {
  /**
   * What a new version starts from. `savepoint`: from a savepoint that the old one ends with; when the old one cannot take one
   * any more, from its newest checkpoint. `last-state`: from the newest checkpoint, without asking the old one. `stateless`: from nothing.
   * @default "savepoint"
   */
  readonly mode?: "savepoint" | "last-state" | "stateless";
  /**
   * Start the new version's pods, load its code and fetch state before the old one stops. Needs room for both.
   * @default true
   */
  readonly warmStandby?: boolean;
  /**
   * How long the old version may take for its last savepoint.
   * @default "10 min"
   * @format duration
   */
  readonly savepointTimeout?: string | number;
  /**
   * How long the new version's pods may take until they stand by.
   * @default "10 min"
   * @format duration
   */
  readonly prepareTimeout?: string | number;
  /** Start the current version again from this savepoint, whenever this value changes. The state since is given up. */
  readonly redeploy?: RedeploySpec;
}

export interface RedeploySpec {
  /**
   * A savepoint or checkpoint, as a URL.
   * @minLength 1
   * @maxLength 2048
   */
  readonly location: string;
  /**
   * Tells two requests for the same location apart.
   * @minLength 1
   * @maxLength 256
   */
  readonly nonce?: string;
}

export interface RollbackSpec {
  /**
   * Go back to the last stable revision by itself when a new one does not become stable.
   * @default true
   */
  readonly automatic?: boolean;
  /**
   * A new version is stable once it has completed a checkpoint. This is how long it may take.
   * @default "5 min"
   * @format duration
   */
  readonly stableTimeout?: string | number;
}

export interface SavepointPolicy {
  /**
   * Time between two savepoints that the operator takes by itself, such as `6 h`. Default none.
   * @format duration
   */
  readonly interval?: string | number;
  /**
   * Any change of this value takes a savepoint.
   * @minLength 1
   * @maxLength 256
   */
  readonly nonce?: string;
  /** Which of the savepoints that the operator took by schedule, nonce or upgrade are kept. The newest one always is. */
  readonly retention?: SavepointRetention;
}

export interface SavepointRetention {
  /**
   * At most so many.
   * @asType integer
   * @minimum 1
   * @maximum 1000
   * @default 10
   */
  readonly count?: number;
  /**
   * None older than this, such as `7 d`. Default none.
   * @format duration
   */
  readonly age?: string | number;
}

export interface DeletionPolicy {
  /**
   * What happens before a deleted job's pods end. `none`: nothing, its checkpoints stay where they are. `savepoint`: a savepoint is
   * taken. `drain`: windows are flushed as at the end of the input, then a savepoint is taken.
   * @default "none"
   */
  readonly policy?: "none" | "savepoint" | "drain";
  /**
   * How long that may take; then the job is deleted without it.
   * @default "5 min"
   * @format duration
   */
  readonly timeout?: string | number;
}
