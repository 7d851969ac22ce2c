// Runs one scenario of the crash matrix with at most one fault, and says what is wrong at its end.
import type { Fault } from "../../src/simulation/faults.ts";
import { jobName, namespace, World } from "../../src/simulation/world.ts";
import { batchLabel } from "../../src/simulation/simulated-batches.ts";
import { reach, type Scenario } from "./scenarios.ts";

export interface Outcome {
  readonly writes: readonly string[];
  readonly problems: readonly string[];
}

const limitMs = 30 * 60_000;
/** Time for what is left over to go. */
const calmMs = 45_000;

export async function runScenario(scenario: Scenario, fault?: { readonly at: number; readonly fault: Fault }, seed = 1): Promise<Outcome> {
  const world = new World({ seed });
  world.startOperator();
  try {
    await scenario.arrange?.(world);
    world.count(fault);
    scenario.act(world);
    await reach(world, () => scenario.done(world), scenario.name, scenario.limitMs ?? limitMs);
    const writes = [...world.writes];
    await world.time.pass(calmMs);
    const stillDone = scenario.done(world) ? [] : ["it did not stay so"];
    return { writes, problems: [...stillDone, ...invariants(world), ...(scenario.check?.(world) ?? [])] };
  } catch (error) {
    return { writes: world.writes, problems: [String(error), ...invariants(world)] };
  } finally {
    world.close();
  }
}

/** What holds whatever was asked and whatever failed. */
export function invariants(world: World): readonly string[] {
  const problems = [...world.violations()];
  if (world.jobs.mostActive > 1) problems.push(`${world.jobs.mostActive} runs processed at the same time`);
  const firsts = new Set<number>();
  for (const { run, from, order } of world.jobs.storage(namespace, jobName).restores) {
    // Its own savepoint is what a run starts from; only later it goes on from its own checkpoints.
    if (!firsts.has(run) && order.sinceRun === run && order.location !== undefined && from !== order.location)
      problems.push(`run ${run} started from ${from ?? "nothing"}, not from the savepoint ${order.location}`);
    firsts.add(run);
  }
  const { active, upgrade } = world.status();
  if (upgrade === undefined) {
    for (const kind of ["Deployment", "ConfigMap", "Lease", "Pod"] as const) {
      const stray = world.cluster.store
        .list(kind, { namespace })
        .filter(
          ({ metadata }) =>
            metadata.labels?.["millrace.dev/job"] !== undefined &&
            metadata.labels["millrace.dev/run"] !== undefined &&
            metadata.labels["millrace.dev/run"] !== String(active?.run),
        );
      if (stray.length > 0) problems.push(`left over: ${stray.map(({ metadata }) => `${kind} ${metadata.name}`).join(", ")}`);
    }
  }
  return [...problems, ...batchLeftovers(world)];
}

// Of earlier runs nothing is left but the last driver, which keeps its log.
function batchLeftovers(world: World): readonly string[] {
  const job = world.cluster.store.list("MicroBatchJob", { namespace })[0];
  const { active, run } = job?.status ?? {};
  if (active?.phase === "stopping") return [];
  const stray = (["Deployment", "ConfigMap", "Service", "Pod"] as const).flatMap((kind) =>
    world.cluster.store.list(kind, { namespace }).filter(({ metadata }) => {
      const its = metadata.labels?.["millrace.dev/run"];
      if (metadata.labels?.[batchLabel] === undefined || its === undefined || its === String(active?.run)) return false;
      return !(kind === "Pod" && active === undefined && its === String(run));
    }),
  );
  return stray.length === 0 ? [] : [`left over: ${stray.map(({ kind, metadata }) => `${kind} ${metadata.name}`).join(", ")}`];
}
