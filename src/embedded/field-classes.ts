// What a change of each field of an EmbeddedStreamApp's spec leads to.
import type { EmbeddedStreamAppSpec } from "millrace/api";
import type { FieldClass } from "../streamjob/field-classes.ts";

// A new field does not compile until its class is decided. `rolled`: pods are replaced, by spec.update.mode.
export const appFieldClasses: { readonly [K in keyof Required<EmbeddedStreamAppSpec>]: FieldClass } = {
  applicationId: "rolled",
  image: "rolled",
  command: "rolled",
  args: "rolled",
  kafka: "rolled",
  // Read by the operator; the app's own code says what it reads.
  topics: "ignored",
  parameters: "rolled",
  replicas: "scaled",
  scaling: "ignored",
  threads: "rolled",
  standbys: "rolled",
  guarantee: "rolled",
  storage: "ignored",
  update: "ignored",
  rollback: "ignored",
  queries: "rolled",
  suspend: "operation",
  deletion: "ignored",
  resources: "rolled",
  podTemplate: "rolled",
  revisionHistoryLimit: "ignored",
};
