// Every error code that a person can meet is explained in docs/reference/errors.md, and none that is not there any more.
import { type Finding, isCode, isTest, type SourceFile, withoutComments } from "./source-file.ts";

export const reference = "docs/reference/errors.md";

/** Codes are words in capitals; the reference has each in backticks at the start of a row or heading. */
export function errorCodeFindings(files: readonly SourceFile[]): Finding[] {
  const used = new Map<string, string>();
  for (const file of files.filter((one) => isCode(one) && !isTest(one) && one.path.startsWith("runtime/"))) {
    for (const match of withoutComments(file.text).matchAll(/(?:new MillraceError|super)\(\s*"([A-Z][A-Z0-9_]+)"/g))
      used.set(match[1] ?? "", file.path);
  }
  const text = files.find(({ path }) => path === reference)?.text ?? "";
  const documented = new Set([...text.matchAll(/^(?:\| *|#+ *)`([A-Z][A-Z0-9_]+)`/gm)].map((match) => match[1] ?? ""));
  const everything = files.filter((file) => isCode(file) && file.path.startsWith("runtime/")).map((file) => file.text);
  return [
    ...[...used].filter(([code]) => !documented.has(code)).map(([code, path]) => ({ path, problem: `${code} is not in ${reference}` })),
    ...[...documented]
      .filter((code) => !everything.some((source) => source.includes(`"${code}"`)))
      .map((code) => ({ path: reference, problem: `${code} is in no source` })),
  ];
}
