// The `millrace savepoint` command on snapshots of real state, through its command line.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { RealState, maxParallelism } from "../../../../test/unit/snapshots/real-state.ts";
import { systemClock } from "../../base/clock.ts";
import { Decimal } from "../../core/schema/decimal.ts";
import { openStorage } from "../../checkpoint/storage/open-storage.ts";
import { CheckpointStore } from "../../checkpoint/store/checkpoint-store.ts";
import { memoryBackend } from "../../state/memory/memory-backend.ts";
import { entryMerging } from "../../state/entry-merging.ts";
import { savepointCommand } from "./savepoint-command.ts";

const folder = mkdtempSync(join(tmpdir(), "millrace-savepoint-command-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const root = pathToFileURL(join(folder, "jobs")).href;
const one = `${root}/delays-1/savepoints/one`;
const two = `${root}/delays-1/savepoints/two`;

async function run(...args: string[]): Promise<string> {
  let text = "";
  const command = savepointCommand(async (part) => {
    text += part;
  });
  command.exitOverride();
  await command.parseAsync(args, { from: "user" });
  return text;
}

const key = (origin: string | null, hour: number): { origin: string | null; hour: number } => ({ origin, hour });
const total = (flights: bigint, delay: string, note: string | null): Record<string, unknown> => ({
  flights,
  delay: Decimal.parse(delay),
  note,
});

beforeAll(async () => {
  const storage = await openStorage(root);
  const store = CheckpointStore.open({
    storage,
    jobName: "delays",
    jobId: "delays-1",
    planFingerprint: "0123456789abcdef",
    maxParallelism,
    merging: entryMerging,
    clock: systemClock,
    createdBy: "millrace test",
  });
  await store.acquireEpoch();
  const state = await RealState.open(memoryBackend(), folder, { from: 0, to: maxParallelism });
  const save = async (id: number): Promise<void> => {
    const writer = store.begin(id);
    const lists = [{ name: "pending", redistribution: "split" as const, entries: [{ key: "p-1", value: new Uint8Array([1, 2, 3]) }] }];
    await writer.addSubtask({
      uid: "delays",
      kind: "windowAggregate",
      subtask: 0,
      parallelism: 1,
      keyGroups: { from: 0, to: maxParallelism },
      keyed: state.backend.capture(),
      lists,
      watermarkMs: 1_700_000_000_000,
    });
    await writer.addSubtask({
      uid: "flights",
      kind: "source.kafka",
      subtask: 0,
      parallelism: 1,
      splits: [{ split: { id: "flights-0", position: { offset: id * 10 } }, watermarkMs: 5 }],
    });
    await writer.finish();
  };
  state.putTotal(key("JFK", 3_600_000), 0, total(3n, "1.50", "x"));
  state.putTotal(key(null, 0), 7_200_000, total(2n ** 60n, "-2.25", null));
  state.putItem("LAX", -4, "AA");
  state.putTimer(9n, 0, 123_456);
  await save(1);
  await store.savepoint(1, "one");
  state.putTotal(key("JFK", 3_600_000), 0, total(4n, "1.50", "x"));
  state.putTotal(key("SFO", 0), 0, total(1n, "0.00", null));
  state.deleteItem("LAX", -4);
  await save(2);
  await store.markCommitted(2);
  await store.savepoint(2, "two");
  await store.close();
  await state.backend.close();
});

describe("millrace savepoint", () => {
  test("list shows every snapshot below a URL", async () => {
    const listed = JSON.parse(await run("list", root, "--json")) as Record<string, unknown>[];
    expect(listed.map(({ url, kind, checkpointId, committed, note }) => [url, kind, checkpointId, committed, note])).toEqual([
      [`${root}/delays-1/chk-1`, "checkpoint", 1, false, "retained"],
      [one, "savepoint", 1, false, ""],
      [`${root}/delays-1/chk-2`, "checkpoint", 2, true, "latest"],
      [two, "savepoint", 2, true, ""],
    ]);
    expect(await run("list", `${root}/delays-1`)).toMatch(
      /^KIND +JOB +CHECKPOINT +CREATED +SIZE +COMMITTED +NOTE +URL\ncheckpoint +delays +1 +20\d\d-/,
    );
    await expect(run("list", `${root}/nowhere`)).rejects.toMatchObject({ code: "STORAGE_MISSING" });
  });

  test("inspect shows operators, tables with their fields, and source positions", async () => {
    const text = await run("inspect", two, "--verify");
    expect(text).toContain('savepoint "two"');
    expect(text).toContain("no damage");
    expect(text).toMatch(
      /delays +totals +table +origin string, hour timestamp\(ms\) +flights int64, delay decimal\(12,2\), note string +3 /,
    );
    expect(text).toMatch(/delays +items +multi by number +airport string +carrier string +0 /);
    expect(text).toMatch(/flights +flights-0 +\{"offset":20\} +1970-01-01 00:00:00Z/);
    const json = JSON.parse(await run("inspect", `${root}/delays-1/chk-2`, "--json")) as { committed: boolean; manifest: { kind: string } };
    expect([json.committed, json.manifest.kind]).toEqual([true, "checkpoint"]);
  });

  const expected = [
    {
      uid: "delays",
      table: "totals",
      form: "table",
      key: { origin: "JFK", hour: 3_600_000 },
      namespace: 0,
      subKey: null,
      value: { flights: 3, delay: "1.50", note: "x" },
    },
    {
      uid: "delays",
      table: "totals",
      form: "table",
      key: { origin: null, hour: 0 },
      namespace: 7_200_000,
      subKey: null,
      value: { flights: "1152921504606846976", delay: "-2.25", note: null },
    },
    { uid: "delays", table: "items", form: "multi", key: { airport: "LAX" }, namespace: 0, subKey: -4, value: { carrier: "AA" } },
    { uid: "delays", table: "timers", form: "timers", key: { id: 9 }, namespace: 0, subKey: 123_456, value: null },
    { uid: "delays", table: "pending", form: "list", key: "p-1", namespace: null, subKey: 0, value: "AQID" },
  ];
  const sorted = (rows: readonly unknown[]): readonly string[] => rows.map((row) => JSON.stringify(row)).sort();
  const lines = (text: string): readonly unknown[] =>
    text
      .split("\n")
      .slice(0, -1)
      .map((line) => JSON.parse(line) as unknown);

  test("read prints every entry, decoded by the manifest alone; of savepoints and of checkpoints", async () => {
    expect(sorted(lines(await run("read", one)))).toEqual(sorted(expected));
    expect(sorted(lines(await run("read", `${root}/delays-1/chk-1`)))).toEqual(sorted(expected));
    expect(sorted(lines(await run("read", one, "--table", "items")))).toEqual(sorted(expected.slice(2, 3)));
    expect(lines(await run("read", one, "--limit", "2")).length).toBe(2);
    expect(lines(await run("read", one, "--uid", "flights"))).toEqual([]);
    await expect(run("read", one, "--uid", "delay")).rejects.toMatchObject({ code: "SNAPSHOT_UID_UNKNOWN" });
    await expect(run("read", one, "--table", "nope")).rejects.toMatchObject({ code: "SNAPSHOT_TABLE_UNKNOWN" });
  });

  test("read writes NDJSON and Parquet files; another engine reads the Parquet", async () => {
    const ndjson = join(folder, "out.ndjson");
    expect(await run("read", one, "-o", ndjson)).toBe(`5 entries written to ${ndjson}\n`);
    expect(sorted(lines(readFileSync(ndjson, "utf8")))).toEqual(sorted(expected));
    const parquet = join(folder, "out.parquet");
    await run("read", one, "-f", "parquet", "-o", parquet);
    await expect(run("read", one, "-f", "parquet")).rejects.toMatchObject({ code: "OPTION_INVALID" });
    const { DuckDBInstance } = await import("@duckdb/node-api");
    const connection = await (await DuckDBInstance.create(":memory:")).connect();
    const result = await connection.runAndReadAll(
      `select uid, "table", form, key::varchar, namespace, sub_key, value::varchar from '${parquet}'`,
    );
    const read = result
      .getRows()
      .map(([uid, table, form, entryKey, namespace, subKey, value]) => [
        uid,
        table,
        form,
        entryKey,
        namespace === null ? null : Number(namespace),
        subKey,
        value,
      ]);
    const rows = expected.map((row) => [
      row.uid,
      row.table,
      row.form,
      JSON.stringify(row.key),
      row.namespace,
      row.subKey === null ? null : String(row.subKey),
      row.value === null ? null : JSON.stringify(row.value),
    ]);
    expect(sorted(read)).toEqual(sorted(rows));
  });

  test("diff counts what was added, removed and changed, with examples", async () => {
    const diff = JSON.parse(await run("diff", one, two, "--json")) as { tables: Record<string, unknown>[]; splits: unknown[] };
    expect(diff.tables.map(({ table, same, added, removed, changed }) => [table, same, added, removed, changed])).toEqual([
      ["totals", 1, 1, 0, 1],
      ["items", 0, 0, 1, 0],
      ["timers", 1, 0, 0, 0],
    ]);
    expect(diff.splits).toEqual([{ uid: "flights", split: "flights-0", before: { offset: 10 }, after: { offset: 20 } }]);
    const text = await run("diff", one, `${root}/delays-1/chk-2`);
    expect(text).toContain(
      '  ~ {"origin":"JFK","hour":3600000}: {"flights":3,"delay":"1.50","note":"x"} -> {"flights":4,"delay":"1.50","note":"x"}\n',
    );
    expect(text).toContain('  - {"airport":"LAX"}, sub-key -4: {"carrier":"AA"}\n');
    expect(await run("diff", one, one)).not.toContain("~");
  });

  test("dispose deletes a savepoint and refuses a checkpoint of a job", async () => {
    await expect(run("dispose", `${root}/delays-1/chk-2`)).rejects.toMatchObject({ code: "SNAPSHOT_IN_USE" });
    expect(await run("dispose", one)).toContain(`deleted ${one}`);
    await expect(run("inspect", one)).rejects.toMatchObject({ code: "SNAPSHOT_MISSING" });
    expect(sorted(lines(await run("read", two))).length).toBe(5);
  });

  test("the command line finds it", () => {
    const main = new URL("../main.ts", import.meta.url).href;
    const script = `const { main } = await import(${JSON.stringify(main)}); await main(process.argv);`;
    const out = execFileSync(process.execPath, ["--input-type=module", "-e", script, "millrace", "savepoint", "list", root], {
      encoding: "utf8",
    });
    expect(out).toContain("savepoints/two");
  });
});
