// Rules of StreamJobs.
import { image, jobRules, keyGroups, resources, type Rule, shortName, stateRules } from "./rule.ts";

const hasStorage = "(has(self.checkpoints) && has(self.checkpoints.storage))";

export const streamJobRules: readonly Rule[] = [
  shortName,
  { at: "spec.image", ...image },
  ...jobRules,
  ...keyGroups,
  ...stateRules,
  {
    at: "spec",
    rule: `${hasStorage} || (has(self.upgrade) && has(self.upgrade.mode) && self.upgrade.mode == 'stateless')`,
    message:
      "spec.checkpoints.storage is missing, so every restart would lose the state; give s3://bucket/prefix, or say spec.upgrade.mode: stateless for a job that keeps none",
  },
  {
    at: "spec",
    rule: `${hasStorage} || !has(self.deletion) || !has(self.deletion.policy) || self.deletion.policy == 'none'`,
    message: "needs spec.checkpoints.storage to take a savepoint in; give it, or set the policy to none",
    field: ".deletion",
  },
  {
    at: "spec",
    rule: `${hasStorage} || !has(self.savepoints) || (!has(self.savepoints.interval) && !has(self.savepoints.nonce))`,
    message: "needs spec.checkpoints.storage to take savepoints in; give it, or remove the interval and the nonce",
    field: ".savepoints",
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
