// Conditions as Kubernetes has them: what `kubectl wait` and GitOps tools read.

export interface Condition {
  /** `Ready`, `Progressing` or `Degraded`. */
  readonly type: string;
  readonly status: "True" | "False" | "Unknown";
  /** When `status` last changed, RFC 3339. */
  readonly lastTransitionTime: string;
  /** A stable word in CamelCase. */
  readonly reason: string;
  readonly message: string;
  /** The generation of the manifest that this is about. */
  readonly observedGeneration?: number;
}
