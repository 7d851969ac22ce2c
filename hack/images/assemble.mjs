// The files of an image as a folder, for docker/Dockerfile: assemble.mjs runtime|operator|base FOLDER [folders with native packages].
import { mkdirSync } from "node:fs";
import { repository } from "../real/paths.mjs";
import { Problem, runMain } from "../real/problem.mjs";
import { assembleBase } from "./base.mjs";
import { assembleOperator, assembleRuntime } from "./contents.mjs";

await runMain(async () => {
  const [what, folder, ...contents] = process.argv.slice(2);
  const assemble = { runtime: assembleRuntime, operator: assembleOperator, base: assembleBase }[what];
  if (assemble === undefined || folder === undefined) throw new Problem("what to assemble?", "assemble.mjs runtime|operator|base FOLDER");
  mkdirSync(folder, { recursive: true });
  assemble(repository, folder, contents);
});
