// The four kinds: their names, the types they are made from, what `kubectl get` shows, and their rules.
import { embeddedStreamAppRules } from "./rules/embedded-stream-app.ts";
import { microBatchJobRules } from "./rules/micro-batch-job.ts";
import type { Rule } from "./rules/rule.ts";
import { savepointRules } from "./rules/savepoint.ts";
import { streamJobRules } from "./rules/stream-job.ts";

export const GROUP = "millrace.dev";
export const VERSION = "v1alpha1";
export const CATEGORY = "millrace";

export interface PrinterColumn {
  readonly name: string;
  readonly type: "string" | "integer" | "date" | "boolean";
  readonly jsonPath: string;
  readonly description: string;
  /** Above 0: only with `-o wide`. */
  readonly priority?: number;
}

export interface Kind {
  readonly kind: string;
  readonly plural: string;
  readonly shortName: string;
  readonly spec: string;
  readonly status: string;
  readonly description: string;
  readonly specDescription: string;
  readonly columns: readonly PrinterColumn[];
  readonly scale?: { readonly specReplicasPath: string; readonly statusReplicasPath: string; readonly labelSelectorPath: string };
  readonly rules: readonly Rule[];
}

const column = (name: string, type: PrinterColumn["type"], jsonPath: string, description: string, priority?: number): PrinterColumn => ({
  name,
  type,
  jsonPath,
  description,
  ...(priority === undefined ? {} : { priority }),
});
const age = column("Age", "date", ".metadata.creationTimestamp", "Time since the resource was made.");
const ready = column("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', "Whether it does what its manifest says.");
const reason = column("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', "Why it is ready, or not.", 1);
const state = column("State", "string", ".status.state", "One word for what it does now.");
const revision = column("Revision", "string", ".status.currentRevision", "The revision that runs or is being started.", 1);

export const kinds: readonly Kind[] = [
  {
    kind: "StreamJob",
    plural: "streamjobs",
    shortName: "sj",
    spec: "StreamJobSpec",
    status: "StreamJobStatus",
    description:
      "A streaming job with a cluster of its own: JobManagers (a leader and standbys) coordinate, TaskManagers process. A change of the manifest is brought out with a savepoint, and rolled back when the new version does not work.",
    specDescription: "The job: what runs, with how much parallelism, where its state goes, and how it is upgraded.",
    columns: [
      state,
      ready,
      column("Parallelism", "integer", ".status.parallelism", "Instances of each operator."),
      column("TaskManagers", "integer", ".status.readyReplicas", "TaskManagers that are ready.", 1),
      revision,
      column("Run", "integer", ".status.run", "The number of the run that is active.", 1),
      column("Gap-ms", "integer", ".status.lastUpgrade.gapMs", "How long nothing was processed in the last upgrade.", 1),
      reason,
      age,
    ],
    scale: {
      specReplicasPath: ".spec.taskManager.replicas",
      statusReplicasPath: ".status.replicas",
      labelSelectorPath: ".status.selector",
    },
    rules: streamJobRules,
  },
  {
    kind: "EmbeddedStreamApp",
    plural: "embeddedstreamapps",
    shortName: "esa",
    spec: "EmbeddedStreamAppSpec",
    status: "EmbeddedStreamAppStatus",
    description:
      "A service of the user's own that runs the library, as many pods as there is work for: scaled by lag, never above the partitions of its topics, updated pod by pod.",
    specDescription: "The app: its image, its topics, how it is scaled and updated.",
    columns: [
      state,
      ready,
      column("Replicas", "integer", ".status.readyReplicas", "Pods that are caught up."),
      column("Lag", "integer", ".status.lag", "Records that wait in the input topics."),
      column("Partitions", "integer", ".status.partitions", "Partitions of the input topics.", 1),
      column("Restoring", "integer", ".status.restoringTasks", "Tasks whose stores are being restored.", 1),
      revision,
      reason,
      age,
    ],
    scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas", labelSelectorPath: ".status.selector" },
    rules: embeddedStreamAppRules,
  },
  {
    kind: "MicroBatchJob",
    plural: "microbatchjobs",
    shortName: "mbj",
    spec: "MicroBatchJobSpec",
    status: "MicroBatchJobStatus",
    description: "A job that processes one batch for each trigger: a driver plans, executors process. Upgrades happen between two batches.",
    specDescription: "The job: what runs, when a batch starts, with how many executors, and how it is upgraded.",
    columns: [
      state,
      ready,
      column("Batch", "integer", ".status.batch.id", "Number of the last committed batch."),
      column("Batch-ms", "integer", ".status.batch.durationMs", "How long it took."),
      column("Executors", "integer", ".status.readyReplicas", "Executors that are there.", 1),
      column("Next-Run", "date", ".status.nextScheduledAt", "When the next run is due.", 1),
      revision,
      reason,
      age,
    ],
    rules: microBatchJobRules,
  },
  {
    kind: "Savepoint",
    plural: "savepoints",
    shortName: "sp",
    spec: "SavepointSpec",
    status: "SavepointStatus",
    description: "A snapshot of a job that belongs to its user, taken by hand, by schedule or by an upgrade. It stays when the job goes.",
    specDescription: "Of which job, and what becomes of its files.",
    columns: [
      column("Job", "string", ".spec.job", "The job that it was taken of."),
      column("Phase", "string", ".status.phase", "How far it is."),
      column("Trigger", "string", ".status.trigger", "Why it was taken."),
      column("Bytes", "integer", ".status.sizeBytes", "Bytes of all its files."),
      column("Location", "string", ".status.location", "Where it is.", 1),
      column("Revision", "string", ".status.revision", "The revision of the job that it was taken of.", 1),
      reason,
      age,
    ],
    rules: savepointRules,
  },
];
