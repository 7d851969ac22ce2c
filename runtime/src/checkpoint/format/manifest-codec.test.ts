// Manifests: read strictly, with one clear error for each way that they are not what this version writes.
import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import { decodeManifest, encodeManifest } from "./manifest-codec.ts";
import type { Manifest } from "./manifest.ts";

const manifest: Manifest = {
  format: "millrace-snapshot",
  formatVersion: 1,
  kind: "savepoint",
  jobName: "delays",
  jobId: "delays-1",
  checkpointId: 7,
  savepointId: "before",
  epoch: 3,
  planFingerprint: "0123456789abcdef",
  createdAt: "2026-01-02T03:04:05.678Z",
  createdBy: "millrace 0.1.0",
  maxParallelism: 128,
  files: [{ path: "data-00.mst", sizeBytes: 100, sha256: "0".repeat(64) }],
  operators: {
    "délais ✈": {
      kind: "windowAggregate",
      parallelism: 2,
      watermarkMs: null,
      tables: [
        { id: "0123456789abcdef", spec: { name: "t", form: "table", key: {}, keyForm: "bytes", value: {}, valueOrder: [], keyOrder: [] } },
      ],
      state: [{ file: 0, part: "base", kind: "base", checkpointId: 7, from: 0, to: 128, sizeBytes: 90, tables: [0] }],
      lists: [{ name: "pending", redistribution: "split", parts: [{ subtask: 0, entryCount: 1, payload: { inline: "AA==" } }] }],
      source: { splits: [{ id: "a-0", position: { offset: "12" }, subtask: 1, watermarkMs: 5 }], finished: ["b"], enumerator: null },
      sink: [{ subtask: 0, payload: { file: 0, offset: 1, storedBytes: 2, rawBytes: 3, compression: "zstd", crc32c: 4 } }],
    },
  },
};

/** JSON with the checksum that the format asks for, made here by hand. */
function sealed(value: unknown): Buffer {
  const text = JSON.stringify(value).slice(0, -1);
  return Buffer.from(`${text},\n"checksum":"sha256:${createHash("sha256").update(text).digest("hex")}"}\n`);
}

const plain = (): Record<string, unknown> => JSON.parse(JSON.stringify(manifest)) as Record<string, unknown>;
const errorOf = (content: Buffer): unknown => {
  try {
    return decodeManifest(content, "file:///s/manifest.json");
  } catch (error) {
    return error;
  }
};

describe("manifests", () => {
  test("are read back as they were written, and are JSON with a checksum at the end", () => {
    const content = encodeManifest(manifest);
    expect(decodeManifest(content, "m")).toEqual(manifest);
    const { checksum, ...rest } = JSON.parse(content.toString()) as Record<string, unknown>;
    expect(rest).toEqual(manifest);
    expect(checksum).toMatch(/^sha256:[0-9a-f]{64}$/);
    expect(decodeManifest(sealed(plain()), "m")).toEqual(manifest);
  });

  test("of another version of the format are refused as such, whatever else is in them", () => {
    expect(errorOf(sealed({ ...plain(), formatVersion: 2, novel: 1 }))).toMatchObject({ code: "SNAPSHOT_FORMAT_UNKNOWN" });
  });

  test("with unknown members are refused, naming the member", () => {
    const error = errorOf(sealed({ ...plain(), novel: 1 }));
    expect(error).toMatchObject({ code: "SNAPSHOT_FIELD_UNKNOWN" });
    expect(String(error)).toContain("novel");
    const nested = plain() as { operators: Record<string, { state: Record<string, unknown>[] }> };
    const [ref] = nested.operators["délais ✈"]?.state ?? [];
    if (ref === undefined) throw new Error("there is a part");
    ref["novel"] = true;
    expect(String(errorOf(sealed(nested)))).toContain("operators.délais ✈.state[0].novel");
  });

  test.each<[string, (value: Record<string, unknown>) => void, string]>([
    ["a missing member", (value) => delete value["epoch"], "epoch is missing"],
    ["a wrong type", (value) => (value["maxParallelism"] = "128"), "maxParallelism is"],
    [
      "a path that leaves the storage",
      (value) => (value["files"] = [{ path: "/etc/passwd", sizeBytes: 1, sha256: "0".repeat(64) }]),
      "files[0].path",
    ],
    [
      "a path that goes up in between",
      (value) => (value["files"] = [{ path: "a/../../b", sizeBytes: 1, sha256: "0".repeat(64) }]),
      "files[0].path",
    ],
    ["a file that is not there", (value) => (value["files"] = []), "data file 0 of 0"],
    ["another format", (value) => (value["format"] = "other"), 'not "millrace-snapshot"'],
  ])("with %s are SNAPSHOT_CORRUPT", (_name, change, problem) => {
    const value = plain();
    change(value);
    const error = errorOf(sealed(value));
    expect(error).toMatchObject({ code: "SNAPSHOT_CORRUPT" });
    expect(String(error)).toContain(problem);
  });

  test("whose text was changed or cut off are SNAPSHOT_CORRUPT", () => {
    const content = encodeManifest(manifest);
    const changed = Buffer.from(content.toString().replace('"epoch":3', '"epoch":4'));
    expect(errorOf(changed)).toMatchObject({ code: "SNAPSHOT_CORRUPT" });
    for (const length of [0, 1, 50, content.length - 1])
      expect(errorOf(content.subarray(0, length))).toMatchObject({ code: "SNAPSHOT_CORRUPT" });
  });
});
