// The package's manifest and types as others' tools see them: publint, and TypeScript's ways of resolving (are the types wrong?).
import { readFileSync } from "node:fs";
import { checkPackage, createPackageFromTarballData } from "@arethetypeswrong/core";
import { publint } from "publint";
import { formatMessage } from "publint/utils";

/**
 * Ways of resolving that cannot see this package: `node10` knows no `exports`, and `require` finds ES modules only. Users need Node 22,
 * where neither is how a TypeScript project is set up.
 */
const foreign = new Set(["node10", "node16-cjs"]);

/** Problems, one line each; none when all is well. */
export async function lint(archive) {
  const data = readFileSync(archive);
  const { messages, pkg } = await publint({ pack: { tarball: toArrayBuffer(data) }, strict: true });
  const problems = messages.map((message) => `publint: ${formatMessage(message, pkg, { color: false })}`);
  const analysis = await checkPackage(createPackageFromTarballData(new Uint8Array(data)));
  if (analysis.types === false) return [...problems, "attw: the package has no types"];
  for (const problem of analysis.problems) {
    if (foreign.has(problem.resolutionKind)) continue;
    problems.push(`attw: ${problem.kind} ${problem.entrypoint ?? problem.fileName ?? ""} ${problem.resolutionKind ?? ""}`.trimEnd());
  }
  return problems;
}

const toArrayBuffer = ({ buffer, byteOffset, byteLength }) => buffer.slice(byteOffset, byteOffset + byteLength);
