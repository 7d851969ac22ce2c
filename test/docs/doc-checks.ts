// Checks over Markdown: code blocks that must equal files of the repository, and links that must lead somewhere.

export interface Document {
  /** Relative to the repository. */
  readonly path: string;
  readonly text: string;
}

export interface Block {
  readonly line: number;
  readonly language: string;
  /** What the info string says after the language. */
  readonly info: string;
  readonly code: string;
}

/** The fenced code blocks of a document. */
export function codeBlocks(text: string): readonly Block[] {
  const blocks: Block[] = [];
  const lines = text.split("\n");
  for (let i = 0; i < lines.length; i++) {
    const open = /^```(\w*)\s*(.*)$/.exec(lines[i] ?? "");
    if (open === null) continue;
    const end = lines.indexOf("```", i + 1);
    const close = end < 0 ? lines.length : end;
    const code = lines.slice(i + 1, close).map((line) => `${line}\n`);
    blocks.push({ line: i + 1, language: open[1] ?? "", info: (open[2] ?? "").trim(), code: code.join("") });
    i = close;
  }
  return blocks;
}

/** The lines between `#region name` and the next `#endregion`, without their common indentation; undefined when there is no such region. */
export function regionOf(text: string, name: string): string | undefined {
  const lines = text.split("\n");
  const start = lines.findIndex((line) => line.trim() === `// #region ${name}`);
  if (start < 0) return undefined;
  const end = lines.findIndex((line, index) => index > start && line.trim() === "// #endregion");
  if (end < 0) return undefined;
  const body = lines.slice(start + 1, end);
  const indents = body.filter((line) => line.trim() !== "").map((line) => line.length - line.trimStart().length);
  const common = Math.min(...indents);
  return body.map((line) => `${line.slice(common)}\n`).join("");
}

const checked: ReadonlySet<string> = new Set(["ts", "typescript", "js", "javascript"]);

/** Code of our own languages must name its file, and equal it; `read` gives a file's text, or undefined where there is none. */
export function codeFindings(document: Document, read: (path: string) => string | undefined): string[] {
  return codeBlocks(document.text).flatMap(({ line, language, info, code }) => {
    const named = /^file=([^#\s]+)(?:#(\S+))?$/.exec(info);
    const at = `${document.path}:${line}`;
    if (named === null)
      return checked.has(language) || info !== "" ? [`${at}: a ${language} block must say file=path or file=path#region`] : [];
    const [, path = "", region] = named;
    const text = read(path);
    if (text === undefined) return [`${at}: there is no ${path}`];
    const expected = region === undefined ? text : regionOf(text, region);
    if (expected === undefined) return [`${at}: ${path} has no region ${region}`];
    return expected === code ? [] : [`${at}: differs from ${path}${region === undefined ? "" : `#${region}`}`];
  });
}

/** The anchors of a document's headings, as GitHub makes them. */
export function anchorsOf(text: string): ReadonlySet<string> {
  const anchors = new Set<string>();
  for (const line of withoutCode(text).split("\n")) {
    const heading = /^#{1,6} (.+)$/.exec(line)?.[1];
    if (heading === undefined) continue;
    const base = heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, "")
      .replaceAll(" ", "-");
    let anchor = base;
    for (let n = 1; anchors.has(anchor); n++) anchor = `${base}-${n}`;
    anchors.add(anchor);
  }
  return anchors;
}

function withoutCode(text: string): string {
  return text.replace(/^```[\s\S]*?^```$/gm, "");
}

/** Links to files and headings of the repository must lead somewhere; addresses on the web are not asked for. */
export function linkFindings(document: Document, resolve: (path: string) => { readonly text: string } | "folder" | undefined): string[] {
  const prose = withoutCode(document.text).replace(/`[^`\n]*`/g, "");
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)].flatMap((match) => {
    const target = match[1] ?? "";
    if (/^[a-z]+:/.test(target)) return [];
    const [file = "", anchor] = target.split("#");
    const path = file === "" ? document.path : new URL(file, `file:///${document.path}`).pathname.slice(1);
    const found = resolve(decodeURIComponent(path));
    if (found === undefined) return [`${document.path}: ${target} leads nowhere`];
    if (anchor === undefined || found === "folder" || !path.endsWith(".md")) return [];
    return anchorsOf(found.text).has(anchor) ? [] : [`${document.path}: ${target}: no such heading`];
  });
}
