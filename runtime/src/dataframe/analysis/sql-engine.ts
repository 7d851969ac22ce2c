// What the analysis asks of the relational kernel: to parse SQL and to type it. A port: the kernel is a driver's.

/** A syntax tree as the kernel serialises it: plain JSON. */
export type SqlTree = Readonly<Record<string, unknown>>;

export interface SqlEngine {
  /** The tree of one `SELECT` statement; rejects with DATAFRAME_SQL for text that is not one. */
  parse(sql: string): Promise<SqlTree>;
  /** SQL of a `SELECT` whose tree this is. */
  print(tree: SqlTree): Promise<string>;
  /** Names and SQL types of the columns that a `SELECT` gives; rejects with DATAFRAME_SQL where it does not bind. */
  describe(select: string): Promise<readonly { readonly name: string; readonly type: string }[]>;
}
