// A file of the repository as the rules see it, and how the repository's files are found.
import { readdirSync, readFileSync } from "node:fs";
import { join, relative, sep } from "node:path";

export interface SourceFile {
  /** Path from the repository's root, with `/`. */
  readonly path: string;
  readonly text: string;
}

/** Where a rule was broken, and how. */
export interface Finding {
  readonly path: string;
  readonly problem: string;
}

const skippedFolders = new Set(["node_modules", "dist", ".git", ".cache", ".millrace", "coverage"]);

/** Extensions of everything that people write here. */
const written = /\.(ts|mjs|js|md|json|ya?ml|sh)$/;
const generated = /(^|\/)package-lock\.json$/;

/** Every file that people write, below the repository's root; files without an extension are the scripts of hack/ and .ci/. */
export function readRepository(root: string): SourceFile[] {
  const files: SourceFile[] = [];
  const visit = (folder: string): void => {
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const full = join(folder, entry.name);
      const path = relative(root, full).split(sep).join("/");
      if (entry.isDirectory()) {
        if (!skippedFolders.has(entry.name)) visit(full);
      } else if (entry.isFile() && !generated.test(path) && (written.test(path) || /^(hack|\.ci)\/[^./]+$/.test(path))) {
        files.push({ path, text: readFileSync(full, "utf8") });
      }
    }
  };
  visit(root);
  return files;
}

/** TypeScript and JavaScript that runs: the library, the operator, the tests and the scripts. */
export const isCode = ({ path }: SourceFile): boolean => /\.(ts|mjs|js)$/.test(path);

/** Code that only tests load. */
export const isTest = ({ path }: SourceFile): boolean => /\.(test|test-d|suite)\.ts$/.test(path) || path.startsWith("test/");

/** The text without comments, so that words in them are not taken for code. Strings are left as they are. */
export function withoutComments(text: string): string {
  return text.replaceAll(/^\s*\/\*[\s\S]*?\*\//gm, "").replaceAll(/^\s*\/\/.*$/gm, "");
}

/** Module specifiers that a file imports or exports from, statically or by `import()`. */
export function importsOf({ text }: SourceFile): string[] {
  const code = withoutComments(text);
  const statements = code.matchAll(/^\s*(?:import|export)\s(?:[^"';]*?\sfrom\s*)?"([^"]+)"/gm);
  const calls = code.matchAll(/\bimport\(\s*"([^"]+)"\s*\)/g);
  return [...statements, ...calls].map((match) => match[1] ?? "");
}
