// What can go wrong with one write of the operator: it dies before or after it, or the answer is an error, although it may have been carried out.
import { ClusterError, type ClusterErrorReason } from "../ports/cluster-error.ts";
import type { Cluster } from "../ports/cluster.ts";
import type { AppClient } from "../ports/app-client.ts";
import type { DriverClient } from "../ports/driver-client.ts";
import { type JobClient, JobClientError } from "../ports/job-client.ts";
import type { AnyObject } from "../ports/objects.ts";

export type Fault = "dies before" | "dies after" | "409" | "429" | "500" | "times out, applied";

export const faults: readonly Fault[] = ["dies before", "dies after", "409", "429", "500", "times out, applied"];

const reasons: Readonly<Partial<Record<Fault, ClusterErrorReason>>> = {
  "409": "conflict",
  "429": "throttled",
  "500": "unavailable",
  "times out, applied": "unavailable",
};

export interface FaultPlan {
  /** Called for each write; an undefined fault lets it pass. */
  next(write: string): Fault | undefined;
  /** The process that writes ends here and now. */
  die(): void;
}

/** Leases by which operators elect a leader are left alone: faults there are the election's own test. */
const isElection = (object: AnyObject): boolean => object.kind === "Lease" && object.metadata.labels === undefined;

async function write<T>(plan: FaultPlan, name: string, run: () => Promise<T>): Promise<T> {
  const fault = plan.next(name);
  if (fault === undefined) return run();
  const never = new Promise<T>(() => {});
  if (fault === "dies before") {
    plan.die();
    return never;
  }
  if (fault === "dies after") {
    // What the server does with it does not depend on who is left to hear the answer.
    await run().catch(() => undefined);
    plan.die();
    return never;
  }
  if (fault === "times out, applied") await run();
  const options = fault === "429" ? { retryAfterMs: 1_000 } : {};
  throw new ClusterError(reasons[fault] ?? "unavailable", name, `answered with ${fault}`, options);
}

export function faultyCluster(cluster: Cluster, plan: FaultPlan): Cluster {
  return {
    get: (kind, key) => cluster.get(kind, key),
    list: (kind, scope, keep) => cluster.list(kind, scope, keep),
    watch: (kind, scope, sink, signal) => cluster.watch(kind, scope, sink, signal),
    apply: (object) => write(plan, `apply ${object.kind}`, () => cluster.apply(object)),
    create: (object) => (isElection(object) ? cluster.create(object) : write(plan, `create ${object.kind}`, () => cluster.create(object))),
    replace: (object) =>
      isElection(object) ? cluster.replace(object) : write(plan, `replace ${object.kind}`, () => cluster.replace(object)),
    replaceStatus: (object) => write(plan, `status ${object.kind}`, () => cluster.replaceStatus(object)),
    patchMetadata: (kind, key, patch) => write(plan, `metadata ${kind}`, () => cluster.patchMetadata(kind, key, patch)),
    delete: (kind, key, preconditions) => write(plan, `delete ${kind}`, () => cluster.delete(kind, key, preconditions)),
  };
}

const guardedBy =
  (plan: FaultPlan) =>
  <T>(name: string, run: () => Promise<T>): Promise<T> =>
    write(plan, name, run).catch((error: unknown) => {
      if (!(error instanceof ClusterError)) throw error;
      throw new JobClientError(error.reason === "conflict" ? "refused" : "unreachable", name, error.message);
    });

export function faultyApp(app: AppClient, plan: FaultPlan): AppClient {
  const guarded = guardedBy(plan);
  return {
    report: (address) => app.report(address),
    stopWithSavepoint: (address, id) => guarded("app savepoint", () => app.stopWithSavepoint(address, id)),
  };
}

export function faultyDriver(driver: DriverClient, plan: FaultPlan): DriverClient {
  const guarded = guardedBy(plan);
  return {
    report: (address) => driver.report(address),
    savepoint: (address, id) => driver.savepoint(address, id),
    stopWithSavepoint: (address, id) => guarded("driver savepoint", () => driver.stopWithSavepoint(address, id)),
    stop: (address, mode) => guarded("driver stop", () => driver.stop(address, mode)),
  };
}

export function faultyClient(client: JobClient, plan: FaultPlan): JobClient {
  const guarded = guardedBy(plan);
  return {
    report: (address) => client.report(address),
    savepoint: (address, id) => client.savepoint(address, id),
    start: (address, restore) => guarded("job start", () => client.start(address, restore)),
    startSavepoint: (address, id, mode) => guarded("job savepoint", () => client.startSavepoint(address, id, mode)),
    rescale: (address, parallelism) => guarded("job rescale", () => client.rescale(address, parallelism)),
  };
}
