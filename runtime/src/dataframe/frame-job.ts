// A DataFrame program as a module's default export: a name and a function that describes one query.
import { MillraceError } from "../base/errors.ts";
import type { BatchQuery, StreamQuery } from "./query.ts";
import { Session } from "./session.ts";

// Modules may be loaded twice (source and build, two versions): a global symbol recognises programs of either.
const frameMark: unique symbol = Symbol.for("millrace.frames");
const namePattern = /^[a-z0-9]([-a-z0-9.]{0,61}[a-z0-9])?$/;

/** What a program's function gets. */
export interface FrameContext {
  readonly session: Session;
  readonly parameters: Readonly<Record<string, string>>;
  /** A parameter by name; throws PARAMETER_MISSING where it is not given and has no default. */
  parameter(name: string, defaultValue?: string): string;
}

export interface FrameJob {
  readonly [frameMark]: true;
  readonly name: string;
  build(parameters?: Readonly<Record<string, string>>): StreamQuery | BatchQuery;
}

/**
 * Declares a DataFrame program: `export default frames("flights", ({ session }) => session.read(...).groupBy(...).agg(...).write(...))`.
 * With `read` and `write` it runs once and ends; with `readStream` and `writeStream` it runs on.
 */
export function frames(name: string, describe: (context: FrameContext) => StreamQuery | BatchQuery): FrameJob {
  if (!namePattern.test(name)) {
    throw new MillraceError(
      "PLAN_JOB_NAME",
      `job "${name}"`,
      "is not a usable name",
      "use up to 63 lower-case letters, digits, dots and dashes",
    );
  }
  return {
    [frameMark]: true,
    name,
    build(parameters = {}) {
      const query = describe({
        session: new Session(),
        parameters,
        parameter(wanted, defaultValue) {
          const value = parameters[wanted] ?? defaultValue;
          if (value !== undefined) return value;
          throw new MillraceError(
            "PARAMETER_MISSING",
            `parameter "${wanted}"`,
            "is not given",
            `set job.parameters.${wanted} in the manifest, or --param ${wanted}=...`,
          );
        },
      });
      return { ...query, name };
    },
  };
}

export function isFrameJob(value: unknown): value is FrameJob {
  return typeof value === "object" && value !== null && frameMark in value;
}
