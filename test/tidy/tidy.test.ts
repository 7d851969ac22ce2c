// The repository's own rules, checked over the whole repository; rules.test.ts shows that each of them can fail.
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { errorCodeFindings } from "./error-codes.ts";
import { layerFindings } from "./layers.ts";
import { packageFindings } from "./packages.ts";
import { type Finding, isCode, readRepository } from "./source-file.ts";
import { folderFindings, headerFindings, lengthFindings, wordFindings } from "./text-rules.ts";

const files = readRepository(fileURLToPath(new URL("../..", import.meta.url)));
const lines = (findings: readonly Finding[]): string[] => findings.map(({ path, problem }) => `${path}: ${problem}`);

test("there are files to check, in the library, the tests and the scripts", () => {
  for (const folder of ["runtime/src/core/", "runtime/src/operators/", "test/tidy/", "hack/"]) {
    expect(files.filter((file) => isCode(file) && file.path.startsWith(folder)).length, folder).toBeGreaterThan(3);
  }
  expect(files.filter(isCode).length).toBeGreaterThan(50);
});

test("a layer imports only the layers below it", () => expect(lines(layerFindings(files))).toEqual([]));
test("a package is imported only where it belongs", () => expect(lines(packageFindings(files))).toEqual([]));
test("files are short", () => expect(lines(lengthFindings(files))).toEqual([]));
test("folders are small", () => expect(lines(folderFindings(files))).toEqual([]));
test("the first line says what the file is", () => expect(lines(headerFindings(files))).toEqual([]));
test("nothing is skipped, unfinished, unchecked or bound to a machine", () => expect(lines(wordFindings(files))).toEqual([]));
test("error codes are documented", () => expect(lines(errorCodeFindings(files))).toEqual([]));
