// Each rule of tidy.test.ts against bad samples, which it must report, and good ones, which it must not.
import { describe, expect, test } from "vitest";
import { errorCodeFindings, reference } from "./error-codes.ts";
import { layerFindings } from "./layers.ts";
import { packageFindings } from "./packages.ts";
import { importsOf, type SourceFile } from "./source-file.ts";
import { folderFindings, headerFindings, lengthFindings, wordFindings } from "./text-rules.ts";

const file = (path: string, text: string): SourceFile => ({ path, text });
const imports = (path: string, specifier: string): SourceFile => file(path, `import { a } from "${specifier}";`);
// In parts, so that the rules do not find their own samples.
const parts = (...all: readonly string[]): string => all.join("");

test("imports are found in every form, and not in comments", () => {
  const text = [
    'import "./a.ts";',
    'import b from "./b.ts";',
    'import {\n  c,\n  type C,\n} from "./c.ts";',
    'import type { D } from "./d.ts";',
    'export * from "./e.ts";',
    'export { f } from "./f.ts";',
    'const g = await import("./g.ts");',
    '// import "./not-this.ts";',
    '/** import "./nor-this.ts"; */',
    'export const text = "./nor-that.ts";',
  ];
  expect(importsOf(file("x.ts", text.join("\n"))).sort()).toEqual(["./a.ts", "./b.ts", "./c.ts", "./d.ts", "./e.ts", "./f.ts", "./g.ts"]);
});

describe("layers", () => {
  const bad: readonly (readonly [string, string])[] = [
    ["runtime/src/base/x.ts", "../core/batch/batch.ts"],
    ["runtime/src/api/x.ts", "../base/errors.ts"],
    ["runtime/src/core/x.ts", "../operators/map.ts"],
    ["runtime/src/operators/map/x.ts", "../../dsl/stream.ts"],
    ["runtime/src/operators/map/x.ts", "../../state/backend.ts"],
    ["runtime/src/dsl/x.ts", "../drivers/run.ts"],
    ["runtime/src/state/x.ts", "../checkpoint/store.ts"],
    ["runtime/src/serde/x.ts", "../connectors/kafka/source.ts"],
    ["runtime/src/connectors/kafka/x.ts", "../files/source.ts"],
    ["runtime/src/connectors/kafka/wire/x.ts", "../../../serde/json.ts"],
    ["runtime/src/drivers/x.ts", "../cli/run.ts"],
    ["runtime/src/drivers/x.ts", "../index.ts"],
    ["runtime/src/surprise/x.ts", "../base/errors.ts"],
    ["runtime/src/core/x.ts", "../../../src/operator.ts"],
    ["runtime/src/core/x.ts", "millrace/testing"],
    ["runtime/src/core/x.ts", "node:fs/promises"],
    ["runtime/src/operators/x/y.ts", "node:net"],
    ["src/x.ts", "millrace"],
    ["src/x.ts", "millrace/testing"],
    ["src/x.ts", "../runtime/src/base/errors.ts"],
    ["src/streamjob/x.ts", "../kubernetes/y.ts"],
    ["src/streamjob/decide.ts", "node:fs"],
    ["src/ports/x.ts", "../controller/y.ts"],
    ["src/surprise/x.ts", "../ports/y.ts"],
    ["runtime/src/cli/run.ts", "./main.ts"],
    ["runtime/src/drivers/pool.ts", "./worker-entry.ts"],
  ];
  test.each(bad)("%s must not import %s", (path, specifier) => expect(layerFindings([imports(path, specifier)])).toHaveLength(1));

  const good: readonly (readonly [string, string])[] = [
    ["runtime/src/core/x.ts", "../base/errors.ts"],
    ["runtime/src/core/batch/x.ts", "./batch.ts"],
    ["runtime/src/core/x.ts", "node:crypto"],
    ["runtime/src/dsl/x.ts", "../operators/map.ts"],
    ["runtime/src/connectors/kafka/x.ts", "../contract/suite.ts"],
    ["runtime/src/connectors/kafka/sink/x.ts", "../wire/api.ts"],
    ["runtime/src/connectors/kafka/x.ts", "node:net"],
    ["runtime/src/drivers/x.ts", "../connectors/kafka/source.ts"],
    ["runtime/src/testing/x.ts", "../drivers/run.ts"],
    ["runtime/src/index.ts", "./dsl/job.ts"],
    ["runtime/src/core/x.test.ts", "../operators/map.ts"],
    ["src/x.ts", "millrace/api"],
    ["src/streamjob/build/x.ts", "../names.ts"],
    ["src/operator/x.ts", "../streamjob/reconciler.ts"],
  ];
  test.each(good)("%s may import %s", (path, specifier) => expect(layerFindings([imports(path, specifier)])).toEqual([]));
});

test("a package is reported outside its folder, and where nobody owns it", () => {
  const findings = packageFindings([
    imports("runtime/src/operators/x.ts", "@aws-sdk/client-s3"),
    imports("runtime/src/state/x.ts", "left-pad"),
    imports("runtime/src/statehouse/x.ts", "@nxtedition/rocksdb"),
    imports("runtime/src/checkpoint/storage/x.ts", "@aws-sdk/client-s3"),
    imports("runtime/src/state/rocksdb/x.ts", "@nxtedition/rocksdb"),
    imports("runtime/src/core/x.test.ts", "fast-check"),
    imports("runtime/src/core/x.ts", "node:crypto"),
    imports("src/streamjob/x.ts", "@kubernetes/client-node"),
    imports("src/kubernetes/x.ts", "@kubernetes/client-node"),
  ]);
  expect(findings.map(({ path }) => path)).toEqual([
    "runtime/src/operators/x.ts",
    "runtime/src/state/x.ts",
    "runtime/src/statehouse/x.ts",
    "src/streamjob/x.ts",
  ]);
});

test("a long file is reported, at its own limit", () => {
  const long = (path: string, lines: number): SourceFile => file(path, "x\n".repeat(lines));
  const findings = lengthFindings([
    long("a.ts", 351),
    long("b.ts", 350),
    long("c.test.ts", 600),
    long("d.test.ts", 601),
    long("e.md", 5000),
  ]);
  expect(findings.map(({ path }) => path)).toEqual(["a.ts", "d.test.ts"]);
});

test("a missing header is reported", () => {
  const findings = headerFindings([
    file("a.ts", 'import "./b.ts";'),
    file("b.ts", "// short\n"),
    file("hack/c", "#!/bin/sh\nexec true\n"),
    file("d.ts", "// What this file is, in one line.\n"),
    file("hack/e", "#!/bin/sh\n# What this script does.\n"),
    file("f.md", "no header needed"),
  ]);
  expect(findings.map(({ path }) => path)).toEqual(["a.ts", "b.ts", "hack/c"]);
});

test("a crowded folder is reported", () => {
  const folder = (name: string, count: number): SourceFile[] => Array.from({ length: count }, (_, i) => file(`${name}/${i}.ts`, ""));
  const tests = Array.from({ length: 30 }, (_, i) => file(`few/${i}.test.ts`, ""));
  expect(folderFindings([...folder("many", 26), ...folder("few", 25), ...tests]).map(({ path }) => path)).toEqual(["many"]);
});

describe("words", () => {
  const bad: readonly (readonly [string, string])[] = [
    ["runtime/src/core/x.test.ts", parts("it.", "skip('a', () => {});")],
    ["runtime/src/core/x.test.ts", parts("describe.", "only('a', () => {});")],
    ["runtime/src/core/x.test.ts", parts("test.", "todo('a');")],
    ["runtime/src/core/x.test.ts", parts("test.", "skipIf(true)('a', () => {});")],
    ["runtime/src/core/x.test.ts", parts("describe.", "runIf(false)('a', () => {});")],
    ["runtime/src/core/x.test.ts", parts("x", "it('a', () => {});")],
    ["runtime/src/core/x.test.ts", parts("test('a', (context) => context.", "skip());")],
    ["vitest.config.ts", parts("passWith", "NoTests: true")],
    ["runtime/src/core/x.ts", parts("// TO", "DO: later")],
    ["docs/guide.md", parts("FIX", "ME")],
    ["docs/guide.md", parts("see /wo", "rk/main/docs")],
    ["hack/x.mjs", parts('const home = "/ho', 'me/somebody/x";')],
    ["runtime/src/cli/x.ts", parts("// @ts-ign", "ore")],
    ["runtime/src/cli/x.ts", parts("// @ts-expect", "-error")],
    ["runtime/src/operators/x.ts", "const now = Date.now();"],
    ["runtime/src/core/x.ts", "const dice = Math.random();"],
    ["runtime/src/state/x.ts", "setTimeout(() => {}, 1);"],
  ];
  test.each(bad)("in %s: %s", (path, text) => expect(wordFindings([file(path, text)])).toHaveLength(1));

  const good: readonly (readonly [string, string])[] = [
    ["runtime/src/core/x.ts", "reader.skip(4);"],
    ["runtime/src/core/x.ts", "// Date.now() would be wrong here"],
    ["runtime/src/base/clock.ts", "now: () => Date.now(),"],
    ["runtime/src/cli/x.ts", "const now = Date.now();"],
    ["runtime/src/core/x.test.ts", "const now = Date.now();"],
    ["runtime/src/dsl/x.test-d.ts", parts("// @ts-expect", "-error a wrong field")],
    ["docs/guide.md", "the framework/main part does the work/day"],
  ];
  test.each(good)("not in %s: %s", (path, text) => expect(wordFindings([file(path, text)])).toEqual([]));
});

test("an undocumented error code and a documented one that is gone are reported", () => {
  const source = file(
    "runtime/src/state/x.ts",
    'throw new MillraceError("STATE_BROKEN", a, b, c);\nthrow new MillraceError(\n  "STATE_FULL", a, b, c);',
  );
  const docs = file(reference, "| Code | When |\n|---|---|\n| `STATE_FULL` | full |\n| `STATE_GONE` | never |\n");
  expect(errorCodeFindings([source, docs])).toEqual([
    { path: "runtime/src/state/x.ts", problem: `STATE_BROKEN is not in ${reference}` },
    { path: reference, problem: "STATE_GONE is in no source" },
  ]);
  expect(errorCodeFindings([source])).toHaveLength(2);
  const subclass = file("runtime/src/state/y.ts", 'super("STATE_LOST", a, b, c);');
  expect(errorCodeFindings([subclass])).toEqual([{ path: "runtime/src/state/y.ts", problem: `STATE_LOST is not in ${reference}` }]);
});
