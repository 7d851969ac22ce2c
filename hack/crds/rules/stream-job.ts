// Rules of StreamJobs.
import { image, jobRules, keyGroups, resources, type Rule, shortName, stateRules } from "./rule.ts";

export const streamJobRules: readonly Rule[] = [
  shortName,
  { at: "spec.image", ...image },
  ...jobRules,
  ...keyGroups,
  ...stateRules,
  {
    at: "spec",
    rule: "has(self.checkpoints) && has(self.checkpoints.storage)",
    message:
      "spec.checkpoints.storage is missing: it is where the job's progress and state outlive its pods; give s3://bucket/prefix, or file:///path of a volume that all pods share",
  },
  {
    at: "spec",
    rule: "!has(self.taskManager) || !has(self.taskManager.replicas) || !has(self.parallelism) || self.taskManager.replicas * (has(self.taskManager.slots) ? self.taskManager.slots : 1) >= self.parallelism",
    message: "has fewer slots in all than spec.parallelism; raise replicas or slots, or leave replicas out",
    field: ".taskManager",
  },
  {
    at: "spec",
    rule: "!has(self.taskManager) || !has(self.taskManager.replicas) || has(self.parallelism) || self.taskManager.replicas * (has(self.taskManager.slots) ? self.taskManager.slots : 1) <= (has(self.maxParallelism) ? self.maxParallelism : 128)",
    message: "has more slots in all than spec.maxParallelism (128 if not given); lower replicas or slots",
    field: ".taskManager",
  },
  ...resources("spec.jobManager.resources", "spec.taskManager.resources"),
];
