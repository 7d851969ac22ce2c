// Every test file runs in a tier of `npm test`: one that no tier's words match would pass by never running.
import { globSync } from "node:fs";
import { matchesGlob } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import config from "../../../vitest.config.ts";
import { LANES, tiers } from "../../../hack/test/tiers.mjs";

const root = fileURLToPath(new URL("../../../", import.meta.url));

interface Project {
  readonly name: string;
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

const projects: readonly Project[] = (
  (config as { test?: { projects?: readonly { test: { name: string; include: string[]; exclude?: string[] } }[] } }).test?.projects ?? []
).map(({ test: { name, include, exclude = [] } }) => ({ name, include, exclude }));

/** The runs of vitest in all tiers: a project, and the words of which a file's path must hold one. */
const runs = tiers
  .flatMap(({ steps }) => steps)
  .filter((step) => step.includes("--project"))
  .map((step) => ({ project: step[step.indexOf("--project") + 1], words: step.slice(step.indexOf("--project") + 2) }));

test("every test file is run by a tier", () => {
  const files = globSync("{runtime/src,src,test,docs}/**/*.test.ts", { cwd: root });
  expect(files.length).toBeGreaterThan(100);
  const lost = files.filter((file) => {
    const owners = projects.filter(
      ({ include, exclude }) => include.some((glob) => matchesGlob(file, glob)) && !exclude.some((glob) => matchesGlob(file, glob)),
    );
    return !owners.some(({ name }) =>
      runs.some(({ project, words }) => project === name && (words.length === 0 || words.some((word) => `/${file}`.includes(word)))),
    );
  });
  expect(lost).toEqual([]);
});

test("every tier is in a lane that runs, and none with servers in the one of low priority", () => {
  expect(tiers.filter(({ lane }) => lane !== undefined && !LANES.includes(lane))).toEqual([]);
  expect(tiers.filter(({ lane, needs = [] }) => needs.length > 0 && lane !== "system")).toEqual([]);
});
