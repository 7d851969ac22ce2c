// What tests get as `fast-check` (vitest.config.ts): its properties draw from the seed of the run, and as many cases as the run wants.
import fc from "../../node_modules/fast-check/lib/fast-check.js";
import { casesOf, runSeed } from "./random.ts";

// What fast-check runs where a test names no number.
const usualCases = 100;

fc.configureGlobal({ seed: runSeed() });

/** As fast-check's own. A failure tells the seed, which MILLRACE_SEED repeats, and the smallest case. */
export const assert: typeof fc.assert = ((property: never, { numRuns = usualCases, ...more }: { readonly numRuns?: number } = {}) =>
  fc.assert(property, { ...more, numRuns: casesOf(numRuns) })) as typeof fc.assert;

export * from "../../node_modules/fast-check/lib/fast-check.js";
export default { ...fc, assert };
