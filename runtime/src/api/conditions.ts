// Conditions as Kubernetes has them: what `kubectl wait` and GitOps tools read.

export interface Condition {
  /**
   * `Ready`, `Progressing` or `Degraded`.
   * @minLength 1
   * @maxLength 316
   */
  readonly type: string;
  /** Whether it is so. */
  readonly status: "True" | "False" | "Unknown";
  /** When `status` last changed, RFC 3339. */
  readonly lastTransitionTime: string;
  /**
   * A stable word in CamelCase.
   * @maxLength 1024
   */
  readonly reason: string;
  /**
   * What happened, and the next step where there is one.
   * @maxLength 32768
   */
  readonly message: string;
  /**
   * The generation of the manifest that this is about.
   * @asType integer
   */
  readonly observedGeneration?: number;
}
