// What the operator does in each phase of a run: time, CPU time, reconciles and requests to the API server; and what a run is judged by.
import { printTable } from "../table.ts";

/** Counters of one operator process since its start. */
export interface Figures {
  readonly cpuSeconds: number;
  readonly reconciles: number;
  /** By verb and kind. */
  readonly requests: ReadonlyMap<string, number>;
}

export interface Phase extends Figures {
  readonly name: string;
  readonly seconds: number;
}

export interface Check {
  readonly what: string;
  readonly limit: string;
  readonly seen: string;
  readonly passed: boolean;
}

export const nothingYet: Figures = { cpuSeconds: 0, reconciles: 0, requests: new Map() };

/** What came between two looks at the same process. */
export function phaseOf(name: string, seconds: number, before: Figures, after: Figures): Phase {
  const requests = [...after.requests]
    .map(([request, count]) => [request, count - (before.requests.get(request) ?? 0)] as const)
    .filter(([, count]) => count > 0);
  return {
    ...{ name, seconds, requests: new Map(requests) },
    cpuSeconds: after.cpuSeconds - before.cpuSeconds,
    reconciles: after.reconciles - before.reconciles,
  };
}

export const total = (requests: ReadonlyMap<string, number>): number => [...requests.values()].reduce((sum, count) => sum + count, 0);
export const listed = (requests: ReadonlyMap<string, number>): string =>
  [...requests].map(([request, count]) => `${request} ${count}`).join(", ") || "none";

/** Requests but watches and those of the operator's own Lease. */
export const unexpected = (requests: ReadonlyMap<string, number>): ReadonlyMap<string, number> =>
  new Map([...requests].filter(([request]) => !request.startsWith("watch ") && !request.endsWith(" Lease")));

/** Writes of anything but the operator's own Lease and Events. */
export const writes = (requests: ReadonlyMap<string, number>): ReadonlyMap<string, number> =>
  new Map([...unexpected(requests)].filter(([request]) => !/^(?:get|list) /.test(request) && !request.endsWith(" Event")));

export function printPhases(phases: readonly Phase[]): void {
  const perReconcile = (value: number, { reconciles }: Phase): string => (reconciles === 0 ? "-" : (value / reconciles).toFixed(2));
  printTable(
    ["phase", "s", "operator's CPU s", "reconciles", "CPU ms each", "API requests", "requests each"],
    phases.map((phase) => [
      phase.name,
      phase.seconds.toFixed(1),
      phase.cpuSeconds.toFixed(2),
      String(phase.reconciles),
      perReconcile(1000 * phase.cpuSeconds, phase),
      String(total(phase.requests)),
      perReconcile(total(phase.requests), phase),
    ]),
  );
}

export function printChecks(checks: readonly Check[]): void {
  printTable(
    ["check", "must be", "seen", ""],
    checks.map(({ what, limit, seen, passed }) => [what, limit, seen, passed ? "passed" : "FAILED"]),
  );
}
