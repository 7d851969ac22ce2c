// Rules of MicroBatchJobs.
import { image, jobRules, keyGroups, resources, type Rule, shortName, stateRules } from "./rule.ts";

const type = "(has(self.trigger) && has(self.trigger.type) ? self.trigger.type : 'processing-time')";

export const microBatchJobRules: readonly Rule[] = [
  shortName,
  { at: "spec.image", ...image },
  ...jobRules,
  ...keyGroups,
  ...stateRules,
  {
    at: "spec",
    rule: "has(self.checkpoints) && has(self.checkpoints.storage)",
    message: "spec.checkpoints.storage is missing: the offset log and the commit log need a place; give s3://bucket/prefix or file:///path",
  },
  {
    at: "spec",
    rule: `!has(self.schedule) || ${type} in ['available-now', 'once']`,
    message: "is for runs that end; set spec.trigger.type to available-now or once, or remove the schedule",
    field: ".schedule",
  },
  {
    at: "spec",
    rule: `!has(self.trigger) || !has(self.trigger.interval) || ${type} in ['processing-time', 'continuous']`,
    message: "takes an interval only with type processing-time or continuous; remove spec.trigger.interval",
    field: ".trigger",
  },
  {
    at: "spec",
    rule: `!has(self.timeToLiveSeconds) || (${type} in ['available-now', 'once'] && !has(self.schedule))`,
    message: "is for a single run that ends; set spec.trigger.type to available-now or once and remove the schedule, or remove it",
    field: ".timeToLiveSeconds",
  },
  {
    at: "spec",
    rule: "!has(self.schedule) || !has(self.restart) || !has(self.restart.policy) || self.restart.policy != 'always'",
    message: "cannot be always with a schedule, which starts the runs; use on-failure or never",
    field: ".restart",
  },
  {
    at: "spec.schedule.cron",
    rule: "self.matches('^[0-9*/,-]+ [0-9*/,-]+ [0-9*/,?LW-]+ [0-9A-Za-z*/,-]+ [0-9A-Za-z*/,?L#-]+$')",
    message: "must be five fields: minute, hour, day of the month, month, day of the week, such as '30 2 * * *'",
  },
  {
    at: "spec.schedule.timeZone",
    rule: "self.matches('^[A-Za-z]+(/[A-Za-z0-9_+-]+)*$')",
    message: "must be the name of a time zone, such as Europe/Vienna or Etc/UTC",
  },
  {
    at: "spec.executors",
    rule: "(has(self.min) ? self.min : 0) <= (has(self.max) ? self.max : 0)",
    message: "must not be above spec.executors.max; lower it, or raise the other",
    field: ".min",
  },
  {
    at: "spec",
    rule: "!has(self.deletion) || !has(self.deletion.policy) || self.deletion.policy != 'drain'",
    message: "is for StreamJobs: a batch leaves nothing open that could be flushed; use savepoint or none",
    field: ".deletion",
  },
  ...resources("spec.driver.resources", "spec.executors.resources"),
];
