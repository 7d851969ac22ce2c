// What a driver leaves behind: the end is told in few bytes, with the failure's code and whether another run could do better.
import { expect, test } from "vitest";
import { MillraceError } from "../../base/errors.ts";
import { failureText, isFinalFailure } from "./final-failure.ts";
import { partingWords } from "./parting-words.ts";

const refused = new MillraceError("OPTION_INVALID", "executors.max", "is for DataFrame queries", "make it 0");
const away = new MillraceError("STORAGE_UNAVAILABLE", "s3://bucket", "does not answer", "see the server");
const words = (error: unknown, query: object = { run: 3, state: "failed" }): unknown =>
  JSON.parse(partingWords(query, { text: failureText(error), isFinal: isFinalFailure(error) }));

test("a failure of the manifest is final, and told with its code and the next step", () => {
  expect(words(refused)).toMatchObject({
    run: 3,
    state: "failed",
    lastFailure: "OPTION_INVALID: executors.max: is for DataFrame queries; make it 0",
    failureIsFinal: true,
  });
});

test("one of a server, or a defect, is not", () => {
  expect(words(away)).toMatchObject({ lastFailure: "STORAGE_UNAVAILABLE: s3://bucket: does not answer; see the server" });
  expect(words(away)).not.toHaveProperty("failureIsFinal");
  expect(words(new TypeError("x is undefined"))).toMatchObject({ lastFailure: "x is undefined" });
  expect(words(new TypeError("x is undefined"))).not.toHaveProperty("failureIsFinal");
});

test("what is too long is cut, and that it is final is kept", () => {
  const long = new MillraceError("OPTION_INVALID", "x".repeat(5000), "is wrong", "mend it");
  const text = partingWords(
    { run: 3, state: "failed", restoredFrom: "y".repeat(5000) },
    { text: failureText(long), isFinal: isFinalFailure(long) },
  );
  expect(Buffer.byteLength(text)).toBeLessThanOrEqual(4096);
  expect(JSON.parse(text)).toMatchObject({ run: 3, failureIsFinal: true });
});
