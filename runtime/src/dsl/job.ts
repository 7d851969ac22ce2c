// A job: a name and a function that describes its dataflow. The default export of a job's module.
import { MillraceError } from "../base/errors.ts";
import type { Dataflow } from "../plan/dataflow.ts";
import { Flow } from "./flow.ts";
import { GraphBuilder } from "./graph-builder.ts";

// Modules may be loaded twice (source and build, two versions): a global symbol recognises jobs of either.
const jobMark: unique symbol = Symbol.for("millrace.job");
const namePattern = /^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/;

export interface Job {
  readonly [jobMark]: true;
  readonly name: string;
  /** Builds the dataflow anew, with these parameters. */
  build(parameters?: Readonly<Record<string, string>>): Dataflow;
}

/**
 * Declares a job. `describe` runs whenever the job is planned, in every process of it, so it must build the same dataflow from the
 * same parameters: no I/O, no randomness.
 */
export function job(name: string, describe: (flow: Flow) => void): Job {
  if (!namePattern.test(name)) {
    throw new MillraceError(
      "PLAN_JOB_NAME",
      `job "${name}"`,
      "is not a usable name",
      "use up to 63 lower-case letters, digits, dots and dashes",
    );
  }
  return {
    [jobMark]: true,
    name,
    build(parameters = {}) {
      const graph = new GraphBuilder(name);
      describe(new Flow(graph, parameters));
      return graph.build();
    },
  };
}

export function isJob(value: unknown): value is Job {
  return typeof value === "object" && value !== null && jobMark in value;
}
