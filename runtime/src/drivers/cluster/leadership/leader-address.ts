// Where a leader is reached.

export interface LeaderAddress {
  /** `host:port` of the control plane, for TaskManagers. */
  readonly rpc: string;
  /** URL of the REST API. */
  readonly rest: string;
}
