// The crash matrix: every scenario with every fault at every one of its writes. Shared out over files, so that they run side by side.
import { expect, test } from "vitest";
import { type Fault, faults } from "../../src/simulation/faults.ts";
import { appScenarios } from "./embedded/scenarios.ts";
import { batchScenarios } from "./microbatch/scenarios.ts";
import { runScenario } from "./run-scenario.ts";
import { scenarios } from "./scenarios.ts";

/** An event that cannot be written is given up whatever the answer was: only the operator's death makes a difference there. */
const faultsOf = (write: string): readonly Fault[] => (write === "apply Event" ? ["dies before", "dies after"] : faults);

const timeoutMs = 20 * 60_000;

export function crashMatrix(part: number, parts: number): void {
  const mine = [...scenarios, ...batchScenarios, ...appScenarios].filter((_, index) => index % parts === part);
  let points = 0;
  test.each(mine)(
    "$name: right in the end, whatever write fails and however",
    async (scenario) => {
      const { writes, problems } = await runScenario(scenario);
      expect(problems).toEqual([]);
      const wrong: string[] = [];
      let count = 0;
      for (const [at, write] of writes.entries()) {
        for (const fault of faultsOf(write)) {
          const outcome = await runScenario(scenario, { at, fault });
          count++;
          for (const problem of outcome.problems) wrong.push(`write ${at} (${write}) ${fault}: ${problem}`);
        }
      }
      points += count;
      process.stdout.write(`crash matrix: ${count} points: ${scenario.name}\n`);
      expect(wrong).toEqual([]);
    },
    timeoutMs,
  );
  test("the points are counted", () => {
    process.stdout.write(`crash matrix: ${points} points in part ${part + 1} of ${parts}\n`);
    expect(points).toBeGreaterThan(mine.length * 10);
  });
}
