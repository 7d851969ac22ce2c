// Every scenario of the crash matrix, without a fault.
import { expect, test } from "vitest";
import { appScenarios } from "./embedded/scenarios.ts";
import { batchScenarios } from "./microbatch/scenarios.ts";
import { runScenario } from "./run-scenario.ts";
import { scenarios } from "./scenarios.ts";

test.each([...scenarios, ...batchScenarios, ...appScenarios])("$name", async (scenario) => {
  const { problems, writes } = await runScenario(scenario);
  expect(problems).toEqual([]);
  expect(writes.length).toBeGreaterThan(0);
});
