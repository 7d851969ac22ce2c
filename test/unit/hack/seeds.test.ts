// Random tests: a run takes one seed for all of them and tells it in a failure; `npm run test:seeds` finds every one.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import fc from "fast-check";
import { expect, test, vi } from "vitest";
import { casesOf, type Random, randomCases, runSeed } from "../../reference/random.ts";

const underSeed = async <T>(variables: Readonly<Record<string, string | undefined>>, act: () => Promise<T> | T): Promise<T> => {
  for (const [name, value] of Object.entries(variables)) vi.stubEnv(name, value);
  try {
    return await act();
  } finally {
    vi.unstubAllEnvs();
  }
};

test("without MILLRACE_SEED every run has the same seed, with it that one", async () => {
  expect(await underSeed({ MILLRACE_SEED: undefined }, runSeed)).toBe(await underSeed({ MILLRACE_SEED: "" }, runSeed));
  expect(await underSeed({ MILLRACE_SEED: "-77" }, runSeed)).toBe(-77);
  await expect(underSeed({ MILLRACE_SEED: "x7" }, runSeed)).rejects.toThrow("MILLRACE_SEED=x7");
});

test("MILLRACE_CASES makes more cases of a test, or fewer, but never none", async () => {
  expect(await underSeed({ MILLRACE_CASES: undefined }, () => casesOf(40))).toBe(40);
  expect(await underSeed({ MILLRACE_CASES: "3" }, () => casesOf(40))).toBe(120);
  expect(await underSeed({ MILLRACE_CASES: "0.01" }, () => casesOf(40))).toBe(1);
  await expect(underSeed({ MILLRACE_CASES: "0" }, () => casesOf(40))).rejects.toThrow("MILLRACE_CASES=0");
});

function drawn(): readonly number[] {
  const values: number[] = [];
  fc.assert(fc.property(fc.integer(), (value) => void values.push(value)));
  return values;
}

test("a property draws from the run's seed as many cases as the run wants", async () => {
  const cases = await underSeed({ MILLRACE_CASES: "2" }, drawn);
  expect(cases).toHaveLength(200);
  expect(cases).toEqual(fc.sample(fc.integer(), { numRuns: 200, seed: runSeed() }));
  expect(cases).not.toEqual(fc.sample(fc.integer(), { numRuns: 200, seed: runSeed() + 1 }));
});

test("a property that fails tells the seed", () => {
  expect(() => fc.assert(fc.property(fc.integer(), () => false))).toThrow(`seed: ${runSeed()}`);
});

test("cases of our own draw from the seed, and one that fails tells it", async () => {
  const cases = (seed: string): Promise<readonly number[]> =>
    underSeed({ MILLRACE_SEED: seed, MILLRACE_CASES: undefined }, async () => {
      const values: number[] = [];
      await randomCases("numbers", 5, (random: Random) => void values.push(random.next()));
      return values;
    });
  expect(await cases("5")).toHaveLength(5);
  expect(await cases("5")).toEqual(await cases("5"));
  expect(await cases("5")).not.toEqual(await cases("6"));
  const failing = underSeed({ MILLRACE_SEED: "5" }, () => randomCases("numbers", 5, () => expect.fail("no")));
  await expect(failing).rejects.toThrow("case 0 of MILLRACE_SEED=5: no");
});

test("random tests are found by what they import, also through suites", async () => {
  const folder = mkdtempSync(join(tmpdir(), "millrace-test-"));
  const files: Readonly<Record<string, string>> = {
    "test/reference/random.ts": "",
    "runtime/src/own/own.test.ts": 'import { Random } from "../../../test/reference/random.ts";',
    "runtime/src/own/whole.suite.ts": 'import fc from "fast-check";\nimport "./other.suite.ts";',
    "runtime/src/own/other.suite.ts": 'import "./whole.suite.ts";',
    "runtime/src/own/by-suite.test.ts": 'import {\n  a,\n  b,\n} from "./other.suite.ts";',
    "runtime/src/own/plain.test.ts": 'import { expect } from "vitest";\nimport "./missing.ts";',
    "runtime/src/own/server.real.test.ts": 'import fc from "fast-check";',
    "test/e2e/cluster.test.ts": 'import fc from "fast-check";',
  };
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const { seededTests } = (await import(new URL("../../../hack/test/seeded-tests.mjs", import.meta.url).href)) as {
      seededTests(repository: string): string[];
    };
    expect(seededTests(folder)).toEqual(["runtime/src/own/by-suite.test.ts", "runtime/src/own/own.test.ts"]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
