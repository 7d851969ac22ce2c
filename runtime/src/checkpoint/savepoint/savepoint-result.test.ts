// A savepoint's stored result is checked; a damaged one is named, and no savepoint is made up of it.
import { expect, test } from "vitest";
import { MemoryStorage } from "../storage/memory-storage.ts";
import { savepointResultFolder } from "../store/layout.ts";
import { savepointResult } from "./savepoint-result.ts";

test.each([
  ["", "it is no JSON"],
  [{}, "id is missing, not there"],
  [{ id: "one", url: null, checkpointId: 1, totalBytes: 1 }, "url is null, not a string"],
  [{ id: "one", url: "memory:/one", checkpointId: 1, totalBytes: 1, cutAtMs: "now" }, 'cutAtMs is "now", not a number'],
])("a result that is damaged is SNAPSHOT_CORRUPT: %j", async (content, problem) => {
  const storage = new MemoryStorage();
  const text = typeof content === "string" ? content : JSON.stringify(content);
  await storage.put(`job/${savepointResultFolder}one.json`, Buffer.from(text));
  await expect(savepointResult(storage, "job/", "one")).rejects.toMatchObject({
    code: "SNAPSHOT_CORRUPT",
    message: expect.stringContaining(problem),
  });
  expect(await savepointResult(storage, "job/", "two")).toBeUndefined();
});
