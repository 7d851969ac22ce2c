// How a StreamJob is upgraded, rolled back, saved and deleted.

export interface UpgradeSpec {
  /**
   * What a new version starts from. `savepoint` (default): from a savepoint that the old one ends with; when the old one cannot take one
   * any more, from its newest checkpoint. `last-state`: from the newest checkpoint, without asking the old one. `stateless`: from nothing.
   */
  readonly mode?: "savepoint" | "last-state" | "stateless";
  /** Start the new version's pods, load its code and fetch state before the old one stops. Needs room for both. Default true. */
  readonly warmStandby?: boolean;
  /** How long the old version may take for its last savepoint. Default 10 min. */
  readonly savepointTimeout?: string | number;
  /** How long the new version's pods may take until they stand by. Default 10 min. */
  readonly prepareTimeout?: string | number;
  /**
   * Start the current version again from this savepoint, whenever this value changes: `location` is a URL, `nonce` tells two requests for the same
   * location apart. The state since is given up.
   */
  readonly redeploy?: { readonly location: string; readonly nonce?: string };
}

export interface RollbackSpec {
  /** Go back to the last stable revision by itself when a new one does not become stable. Default true. */
  readonly automatic?: boolean;
  /** A new version is stable once it has completed a checkpoint. This is how long it may take. Default 5 min. */
  readonly stableTimeout?: string | number;
}

export interface SavepointPolicy {
  /** Time between two savepoints that the operator takes by itself, such as `6 h`. Default none. */
  readonly interval?: string | number;
  /** Any change of this value takes a savepoint. */
  readonly nonce?: string;
  /** Which of the savepoints that the operator took by schedule, nonce or upgrade are kept. The newest one always is. */
  readonly retention?: {
    /** At most so many. Default 10. */
    readonly count?: number;
    /** None older than this, such as `7 d`. Default none. */
    readonly age?: string | number;
  };
}

export interface DeletionPolicy {
  /**
   * What happens before a deleted job's pods end. `none` (default): nothing, its checkpoints stay where they are. `savepoint`: a savepoint is
   * taken. `drain`: windows are flushed as at the end of the input, then a savepoint is taken.
   */
  readonly policy?: "none" | "savepoint" | "drain";
  /** How long that may take; then the job is deleted without it. Default 5 min. */
  readonly timeout?: string | number;
}
