// A rule in the Common Expression Language, which the API server checks: what must hold, and what to tell a person when it does not.

export interface Rule {
  /** Where it applies, as a path from the resource: `spec.checkpoints`; `[]` for each item, `{}` for each value of a map. */
  readonly at: string;
  readonly rule: string;
  /** What is wrong and how to mend it; the API server puts the path before it. */
  readonly message?: string;
  /** The message as an expression. */
  readonly messageExpression?: string;
  /** The field below `at` that the error names, such as `.parallelism`. */
  readonly field?: string;
}

/** `rule` at several places. */
export const everywhere = (places: readonly string[], rule: Omit<Rule, "at">): readonly Rule[] => places.map((at) => ({ at, ...rule }));

export const url = {
  rule: "self.matches('^(file:///|s3://[a-z0-9][a-z0-9.-]*)')",
  message: "must be a URL of a place that all pods reach: s3://bucket/prefix, or file:///path of a shared volume",
};

export const brokers = {
  rule: "self.matches('^[^:/ ]+:[0-9]{1,5}$')",
  message: "must be an address as host:port, such as kafka:9092",
};

export const topic = {
  rule: "self.matches('^[a-zA-Z0-9._-]+$') && self != '.' && self != '..'",
  message: "must be the name of a Kafka topic: letters, digits, '.', '_' and '-'",
};

export const image = {
  rule: "self.matches('^[a-zA-Z0-9][a-zA-Z0-9._/:@-]*$')",
  message: "must be the name of an image, such as registry.example.com/team/job:1.2",
};

export const positiveQuantity = {
  rule: "isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))",
  message: "must be a quantity above zero, such as 500m, 2 or 4Gi",
};

export const secret = {
  rule: "self.matches('^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$')",
  message: "must be the name of a resource: lower-case letters, digits, '-' and '.'",
};

/** Names that become part of the names of Services and pods. */
export const shortName: Rule = {
  at: "",
  rule: "self.metadata.name.matches('^[a-z]([-a-z0-9]{0,43}[a-z0-9])?$')",
  message:
    "metadata.name must be at most 45 lower-case letters, digits and '-', and start with a letter: the names of pods and Services are made from it",
};

export const parameters = (at: string): readonly Rule[] => [
  {
    at,
    rule: "self.all(name, name.matches('^[A-Za-z_][A-Za-z0-9_.-]{0,127}$'))",
    message:
      "names of parameters are letters, digits, '_', '.' and '-', at most 128, and do not start with a digit; rename the one that is not",
  },
];

/** What jobs with key groups share: `at` is the spec. */
export const keyGroups: readonly Rule[] = [
  {
    at: "spec",
    rule: "!has(self.parallelism) || self.parallelism <= (has(self.maxParallelism) ? self.maxParallelism : 128)",
    message: "must not be above spec.maxParallelism (128 if not given); lower it, or for a new job raise spec.maxParallelism",
    field: ".parallelism",
  },
  {
    at: "spec.maxParallelism",
    rule: "self == oldSelf",
    message:
      "is fixed for the life of the job: put back the old value, or make a job of another name and start it from a savepoint with spec.job.initialSavepoint",
  },
];

export const resources = (...places: readonly string[]): readonly Rule[] =>
  places.flatMap((at) => everywhere([`${at}.cpu`, `${at}.memory`, `${at}.ephemeralStorage`], positiveQuantity));

/** The module and what surrounds it. */
export const jobRules: readonly Rule[] = [
  {
    at: "spec.job.module",
    rule: "self.matches('[.](ts|mts|js|mjs)$')",
    message: "must be a TypeScript or JavaScript module: a path that ends in .ts, .mts, .js or .mjs",
  },
  {
    at: "spec.job",
    rule: "!has(self.configMap) || !self.module.contains('/')",
    message: "must be a key of the ConfigMap in spec.job.configMap, without a folder",
    field: ".module",
  },
  { at: "spec.job.configMap", ...secret },
  { at: "spec.job.initialSavepoint", ...url },
  ...parameters("spec.job.parameters"),
];

export const stateRules: readonly Rule[] = [
  { at: "spec.checkpoints.storage", ...url },
  {
    at: "spec.checkpoints.s3.endpoint",
    rule: "self.matches('^https?://[^ /]+')",
    message: "must be a URL, such as https://minio.example.com:9000",
  },
  {
    at: "spec.checkpoints",
    rule: "!has(self.s3) || (has(self.storage) && self.storage.startsWith('s3://'))",
    message: "is for storage on S3; remove it, or set spec.checkpoints.storage to s3://bucket/prefix",
    field: ".s3",
  },
  {
    at: "spec.state",
    rule: "!has(self.memoryBudget) || (has(self.backend) && self.backend == 'rocksdb')",
    message: "is for the backend rocksdb; remove it, or set spec.state.backend to rocksdb",
    field: ".memoryBudget",
  },
  {
    at: "spec.badRecords.deadLetters",
    rule: "has(self.kafka) != has(self.files)",
    message: "give either kafka or files",
  },
  { at: "spec.badRecords.deadLetters.kafka.brokers[]", ...brokers },
  { at: "spec.badRecords.deadLetters.kafka.topic", ...topic },
  { at: "spec.upgrade.redeploy.location", ...url },
];
