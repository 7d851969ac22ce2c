// Rules about one file's text: its length, its first line, words and calls that must not be in it.
import { dirname } from "node:path/posix";
import { type Finding, isCode, isTest, type SourceFile, withoutComments } from "./source-file.ts";

const SOURCE_LINES = 350;
const TEST_LINES = 600;
const FOLDER_FILES = 25;

const lineCount = (text: string): number => text.split("\n").length - (text.endsWith("\n") ? 1 : 0);

/** A file holds one concept; one that has grown past the limit holds several. */
export function lengthFindings(files: readonly SourceFile[]): Finding[] {
  return files.filter(isCode).flatMap((file) => {
    const limit = isTest(file) ? TEST_LINES : SOURCE_LINES;
    const lines = lineCount(file.text);
    return lines > limit ? [{ path: file.path, problem: `has ${lines} lines, the limit is ${limit}: split it by concept` }] : [];
  });
}

/** Line one says what the file is; after `#!` it is line two. */
export function headerFindings(files: readonly SourceFile[]): Finding[] {
  return files
    .filter((file) => isCode(file) || /^(hack|\.ci)\/[^./]+$/.test(file.path))
    .filter(({ text }) => {
      const [first = "", second = ""] = text.split("\n");
      const header = first.startsWith("#!") ? second : first;
      return !/^(\/\/|#) \S.{14,}/.test(header);
    })
    .map(({ path }) => ({ path, problem: "line one must be a comment that says what the file is" }));
}

/** A folder's sources are few enough to be read at a glance. */
export function folderFindings(files: readonly SourceFile[]): Finding[] {
  const counts = new Map<string, number>();
  for (const file of files.filter((one) => isCode(one) && !isTest(one)))
    counts.set(dirname(file.path), (counts.get(dirname(file.path)) ?? 0) + 1);
  return [...counts]
    .filter(([, count]) => count > FOLDER_FILES)
    .map(([path, count]) => ({ path, problem: `has ${count} sources, the limit is ${FOLDER_FILES}: group them by concept` }));
}

interface WordRule {
  readonly pattern: RegExp;
  readonly problem: string;
  readonly applies: (file: SourceFile) => boolean;
  /** Comments count too. */
  readonly inComments?: true;
}

// Spelled in parts, so that this file does not break its own rules.
const word = (...parts: readonly string[]): string => parts.join("");

const pureFolders = /^runtime\/src\/(base|api|core|plan|operators|dsl|state|serde)\//;

const wordRules: readonly WordRule[] = [
  {
    pattern: new RegExp(
      `\\b(describe|test|it|suite|bench)\\s*\\.(${word("sk", "ip")}|${word("on", "ly")}|${word("to", "do")}|${word("sk", "ipIf")}|${word("run", "If")}|fails)\\b`,
    ),
    problem: "a test that does not run, or runs alone; fix or delete it",
    applies: isCode,
  },
  {
    pattern: new RegExp(
      `\\b(x(it|test|describe)\\(|f(it|describe)\\()|\\b(context|ctx|t)\\.${word("sk", "ip")}\\(|${word("passWith", "NoTests")}`,
    ),
    problem: "a test that does not run, or runs alone; fix or delete it",
    applies: isCode,
  },
  {
    pattern: new RegExp(`\\b(${word("TO", "DO")}|${word("FIX", "ME")}|${word("XX", "X")})\\b`),
    problem: "marks unfinished work; finish it or leave it out",
    applies: () => true,
    inComments: true,
  },
  {
    pattern: /(^|[\s"'`(=:])\/(work|home|Users|root)\//m,
    problem: "names a path of somebody's machine",
    applies: () => true,
    inComments: true,
  },
  {
    pattern: new RegExp(`@ts-(${word("ign", "ore")}|nocheck)\\b`),
    problem: "switches the compiler off",
    applies: isCode,
    inComments: true,
  },
  {
    pattern: new RegExp(`@ts-${word("expect", "-error")}\\b`),
    problem: "expects a type error outside a test of types",
    applies: (file) => isCode(file) && !isTest(file),
    inComments: true,
  },
  {
    pattern: /\b(Date\.now\(|new Date\(\)|Math\.random\(|setTimeout\(|setInterval\()/,
    problem: "takes time or chance from the machine; have them passed in (base/clock.ts)",
    applies: (file) => pureFolders.test(file.path) && !isTest(file) && file.path !== "runtime/src/base/clock.ts",
  },
];

export function wordFindings(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) =>
    wordRules
      .filter((rule) => rule.applies(file))
      .flatMap((rule) => {
        const found = rule.pattern.exec(rule.inComments ? file.text : withoutComments(file.text));
        return found === null ? [] : [{ path: file.path, problem: `${JSON.stringify(found[0].trim())}: ${rule.problem}` }];
      }),
  );
}
