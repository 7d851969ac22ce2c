// What a manifest may say about its pods: a part of a Kubernetes pod template, merged over the one that the operator builds.

export interface PodTemplate {
  /** Labels and annotations. */
  readonly metadata?: {
    /** Labels. */
    readonly labels?: Readonly<Record<string, string>>;
    /** Annotations. */
    readonly annotations?: Readonly<Record<string, string>>;
  };
  /** A part of a PodSpec. The job's container has the name `millrace`; lists are merged by name as `kubectl patch` does. */
  readonly spec?: PodSpecTemplate;
}

/** Fields of a Kubernetes PodSpec, as the API server documents them. */
export type PodSpecTemplate = Readonly<Record<string, unknown>>;
