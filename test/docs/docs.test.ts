// The documentation holds: its code is that of the examples, its links lead somewhere; and each of these checks can fail.
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { describe, expect, test } from "vitest";
import { anchorsOf, codeBlocks, codeFindings, type Document, linkFindings } from "./doc-checks.ts";

const root = fileURLToPath(new URL("../../", import.meta.url));
const read = (path: string): string | undefined => {
  const full = `${root}${path}`;
  return existsSync(full) && statSync(full).isFile() ? readFileSync(full, "utf8") : undefined;
};
const resolve = (path: string): { readonly text: string } | "folder" | undefined => {
  const text = read(path);
  if (text !== undefined) return { text };
  return existsSync(`${root}${path}`) ? "folder" : undefined;
};
const documents: readonly Document[] = globSync(["*.md", "docs/**/*.md"], { cwd: root }).map((path) => ({ path, text: read(path) ?? "" }));
const withCode = documents.filter(({ path }) => path === "README.md" || path.startsWith("docs/guide/"));

test("there are documents to check, with code and links in them", () => {
  const guide = withCode.filter(({ path }) => path.startsWith("docs/guide/"));
  expect(guide.length).toBeGreaterThanOrEqual(8);
  expect(guide.flatMap(({ text }) => codeBlocks(text)).filter(({ language }) => language === "ts").length).toBeGreaterThan(15);
});
test.each(withCode)("the code of $path is that of its files", (document) => expect(codeFindings(document, read)).toEqual([]));
test.each(documents)("the links of $path lead somewhere", (document) => expect(linkFindings(document, resolve)).toEqual([]));

test("every marked region of the examples is shown somewhere", () => {
  const shown = withCode.flatMap(({ text }) => codeBlocks(text)).map(({ info }) => info.replace("file=", ""));
  const sources = globSync("docs/examples/**/*.ts", { cwd: root });
  const regions = sources.flatMap((path) =>
    [...(read(path) ?? "").matchAll(/^ *\/\/ #region (\S+)$/gm)].map((match) => `${path}#${match[1] ?? ""}`),
  );
  expect(regions.length).toBeGreaterThan(10);
  expect(regions.filter((region) => !shown.includes(region))).toEqual([]);
});

test("every decision is in the index of decisions, and every page of the guide in its own", () => {
  for (const folder of ["docs/adr", "docs/guide"]) {
    const index = read(`${folder}/README.md`) ?? "";
    const pages = globSync("[0-9]*.md", { cwd: `${root}${folder}` });
    expect(pages.length).toBeGreaterThan(0);
    expect(pages.filter((page) => !index.includes(`](${page})`))).toEqual([]);
  }
});

describe("a check fails", () => {
  const file = "const a = 1;\n  // #region middle\n  if (a) {\n    f();\n  }\n  // #endregion\n";
  const files: Readonly<Record<string, string>> = { "x.ts": file, "docs/y.md": "# Two words\n\n## Two words\n" };
  const code = (info: string, body: string): string[] =>
    codeFindings({ path: "docs/a.md", text: `text\n\`\`\`${info}\n${body}\`\`\`\n` }, (path) => files[path]);
  const links = (text: string): string[] =>
    linkFindings({ path: "docs/a.md", text }, (path) => {
      const found = files[path];
      return found === undefined ? (path === "docs/" ? "folder" : undefined) : { text: found };
    });

  test("for code that differs, names no file, or names one that is not there", () => {
    expect(code("ts file=x.ts#middle", "if (a) {\n  f();\n}\n")).toEqual([]);
    expect(code("ts file=x.ts", file)).toEqual([]);
    expect(code("sh", "ls\n")).toEqual([]);
    expect(code("ts file=x.ts#middle", "if (a) {\n  g();\n}\n")).toEqual(["docs/a.md:2: differs from x.ts#middle"]);
    expect(code("ts file=x.ts", "const a = 2;\n")).toEqual(["docs/a.md:2: differs from x.ts"]);
    expect(code("ts file=x.ts#end", "")).toEqual(["docs/a.md:2: x.ts has no region end"]);
    expect(code("ts file=z.ts", "")).toEqual(["docs/a.md:2: there is no z.ts"]);
    expect(code("ts", "f();\n")).toHaveLength(1);
    expect(code("ts fiel=x.ts", "f();\n")).toHaveLength(1);
  });

  test("for links that lead nowhere", () => {
    expect(links("[a](y.md) [b](y.md#two-words-1) [c](https://example.com/x) [d](../x.ts) [e](./) `[f](no.md)`")).toEqual([]);
    expect(links("[a](no.md)")).toEqual(["docs/a.md: no.md leads nowhere"]);
    expect(links("[a](y.md#three)")).toEqual(["docs/a.md: y.md#three: no such heading"]);
    expect(links("[a](#here)")).toHaveLength(1);
  });

  test("by GitHub's anchors", () => {
    expect([...anchorsOf("# `x` and Y, z!\n```\n# no\n```\n## `x` and Y, z!\n")]).toEqual(["x-and-y-z", "x-and-y-z-1"]);
  });
});
