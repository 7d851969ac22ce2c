// The part of the StreamJob's JSON schema that says how it is deployed, upgraded, saved and deleted.
import { boolean, duration, integer, object, text } from "./schema-parts.ts";

const podTemplate = (description: string): object =>
  object(
    {
      metadata: { type: "object", description: "Labels and annotations." },
      spec: { type: "object", description: "A part of a Kubernetes PodSpec." },
    },
    [],
    description,
  );

const resources: object = object(
  {
    cpu: text("CPU cores, such as 2 or 500m: the request."),
    memory: text("Memory, such as 2Gi: request and limit."),
    ephemeralStorage: text("Local disk for state, such as 20Gi."),
  },
  [],
  "What each pod gets.",
);

/** Not used by `millrace run`; the operator and `millrace up` follow it. */
export const lifecycleProperties: Readonly<Record<string, object>> = {
  suspend: boolean("True ends the job's pods and keeps its state. Default false."),
  restartNonce: text("Any change restarts the job with its state."),
  revisionHistoryLimit: integer(1, "How many earlier revisions are kept for rollbacks. Default 10."),
  upgrade: object(
    {
      mode: { enum: ["savepoint", "last-state", "stateless"], description: "What a new version starts from. Default savepoint." },
      warmStandby: boolean("Start the new version's pods before the old one stops. Default true."),
      savepointTimeout: duration("How long the old version may take for its last savepoint. Default 10 min."),
      prepareTimeout: duration("How long the new version's pods may take until they stand by. Default 10 min."),
      redeploy: object(
        { location: text("A savepoint or checkpoint."), nonce: text("Tells two requests for the same location apart.") },
        ["location"],
        "Start the current version again from this savepoint, whenever this value changes.",
      ),
    },
    [],
    "How a change of the job is brought out.",
  ),
  rollback: object(
    {
      automatic: boolean("Go back by itself when a new version does not become stable. Default true."),
      stableTimeout: duration("How long a new version may take for its first checkpoint. Default 5 min."),
    },
    [],
    "When a new version is given up.",
  ),
  savepoints: object(
    {
      interval: duration("Time between two savepoints by schedule. Default none."),
      nonce: text("Any change takes a savepoint."),
      retention: object(
        { count: integer(1, "At most so many. Default 10."), age: duration("None older than this. Default none.") },
        [],
        "Which savepoints of the operator are kept.",
      ),
    },
    [],
    "Savepoints that the operator takes by itself.",
  ),
  deletion: object(
    {
      policy: { enum: ["none", "savepoint", "drain"], description: "What happens before a deleted job's pods end. Default none." },
      timeout: duration("How long that may take. Default 5 min."),
    },
    [],
    "What happens when the job is deleted.",
  ),
  podTemplate: podTemplate("Merged into every pod of the job."),
  jobManager: object(
    {
      replicas: integer(1, "Leader and standbys. Default 2."),
      resources,
      podTemplate: podTemplate("Merged strategically over spec.podTemplate."),
    },
    [],
    "The pods that coordinate the job.",
  ),
  taskManager: object(
    {
      replicas: integer(1, "TaskManagers. Default as many as parallelism needs."),
      slots: integer(1, "Slots of each TaskManager. Default 1."),
      resources,
      podTemplate: podTemplate("Merged strategically over spec.podTemplate."),
    },
    [],
    "The pods that process.",
  ),
};
