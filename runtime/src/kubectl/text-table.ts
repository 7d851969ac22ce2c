// Columns of text, aligned: numbers to the right, the rest to the left.

export function textTable(rows: readonly (readonly string[])[], indent = ""): readonly string[] {
  const widths: number[] = [];
  for (const row of rows) for (const [i, cell] of row.entries()) widths[i] = Math.max(widths[i] ?? 0, cell.length);
  const isNumber = (column: number): boolean =>
    rows.slice(1).every((row) => /^([\d.,]+( [kMGTPEi]*B| %| ms| s)?|-)?$/.test(row[column] ?? ""));
  return rows.map((row) =>
    (
      indent + row.map((cell, i) => (isNumber(i) && i > 0 ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0))).join("  ")
    ).trimEnd(),
  );
}
