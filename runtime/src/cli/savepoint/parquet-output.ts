// Entries as a Parquet file: one column per member, keys and values as JSON (the writer makes the text).
import type { SchemaElement } from "hyparquet";
import type { EntryRow } from "./entry-rows.ts";

const rowsPerGroup = 20_000;

const text = (name: string, nullable: boolean): SchemaElement => ({
  name,
  type: "BYTE_ARRAY",
  converted_type: "UTF8",
  repetition_type: nullable ? "OPTIONAL" : "REQUIRED",
});
const columns: readonly { readonly schema: SchemaElement; of(row: EntryRow): unknown }[] = [
  { schema: text("uid", false), of: (row) => row.uid },
  { schema: text("table", false), of: (row) => row.table },
  { schema: text("form", false), of: (row) => row.form },
  {
    schema: { name: "key", type: "BYTE_ARRAY", converted_type: "JSON", repetition_type: "REQUIRED" },
    of: (row) => row.key,
  },
  {
    schema: { name: "namespace", type: "INT64", repetition_type: "OPTIONAL" },
    of: (row) => (row.namespace === null ? null : BigInt(row.namespace)),
  },
  { schema: text("sub_key", true), of: (row) => (row.subKey === null ? null : String(row.subKey)) },
  {
    schema: { name: "value", type: "BYTE_ARRAY", converted_type: "JSON", repetition_type: "OPTIONAL" },
    of: (row) => row.value,
  },
];

export async function openParquet(file: string): Promise<{ write(row: EntryRow): Promise<void>; close(): Promise<void> }> {
  const { fileWriter, ParquetWriter } = await import("hyparquet-writer");
  const schema: SchemaElement[] = [{ name: "root", num_children: columns.length }, ...columns.map((column) => column.schema)];
  const writer = new ParquetWriter({ writer: fileWriter(file), schema, createdBy: "millrace" });
  let waiting: EntryRow[] = [];
  const flush = async (): Promise<void> => {
    const rows = waiting;
    waiting = [];
    if (rows.length === 0) return;
    await writer.write({
      columnData: columns.map((column) => ({ name: column.schema.name, data: rows.map((row) => column.of(row)) })),
      rowGroupSize: rowsPerGroup,
    });
  };
  return {
    async write(row) {
      waiting.push(row);
      if (waiting.length >= rowsPerGroup) await flush();
    },
    async close() {
      await flush();
      await writer.finish();
    },
  };
}
