// Lookup join: each row of a stream with the table's row of its key as it stands when the stream's row comes.
import type { Batch } from "../../core/batch/batch.ts";
import { KeyReader } from "../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../core/keys/key-layout.ts";
import type { Operator, OperatorContext, OperatorFactory } from "../../core/operator/operator.ts";
import type { KeyedTable, TimeToLive } from "../../core/ports/state.ts";
import type { WholeTable } from "../../core/ports/whole-table.ts";
import { StoredRows } from "../rows/stored-rows.ts";
import { checkJoinKeys, NullKeys } from "./join-keys.ts";
import { JoinOutput, type JoinSides } from "./join-output.ts";
import { TableRows, type TableRowsParams } from "./table-rows.ts";

export interface LookupJoinParams<Left = unknown, Right = unknown, Out = unknown> extends JoinSides<Left, Right, Out> {
  readonly leftKey: KeyLayout;
  /** The table's primary key. */
  readonly rightKey: KeyLayout;
  readonly type: "inner" | "left";
  /** How long rows of the table are kept. Default: until they are deleted. */
  readonly ttl?: TimeToLive;
  /** Rows of the table that mean that their key is gone, beside those of kind delete. */
  readonly isDelete?: (row: Right) => boolean;
}

/**
 * Input 0 is the stream, input 1 the table's changelog by its primary key (upsert or retract). Nothing waits: which version a row
 * meets depends on which came first. `temporalJoin` is the one that does not. Throws JOIN_FIELD and JOIN_KEY_MISMATCH.
 */
export function lookupJoin<Left, Right, Out>(params: LookupJoinParams<Left, Right, Out>): OperatorFactory {
  checkJoinKeys(params.leftKey, params.rightKey);
  const { right: schema, rightKey: key, ttl, isDelete } = params as unknown as LookupJoinParams;
  return (context) => {
    const own = { schema, key, ...(ttl === undefined ? {} : { ttl }), ...(isDelete === undefined ? {} : { isDelete }) };
    const rows = new TableRows(context, own);
    const lookup = new Lookup(context, params as unknown as LookupJoinParams, rows.table);
    return {
      process(batch, input): void {
        if (input === 1) rows.change(batch);
        else lookup.process(batch);
      },
    };
  };
}

/** The same over a table that the driver holds whole: only the stream comes in, and nothing is this operator's state. */
export function wholeTableJoin<Left, Right, Out>(params: LookupJoinParams<Left, Right, Out>, whole: WholeTable): OperatorFactory {
  checkJoinKeys(params.leftKey, params.rightKey);
  return (context) => {
    const lookup = new Lookup(context, params as unknown as LookupJoinParams, whole.table);
    return {
      process(batch): void {
        whole.check();
        lookup.process(batch);
      },
    };
  };
}

/** Keeps the rows that come in as a table, for joins beside it; gives nothing out. */
export function wholeTable<Row>(params: TableRowsParams<Row>): OperatorFactory {
  return (context) => {
    const rows = new TableRows(context, params as unknown as TableRowsParams);
    return { process: (batch) => rows.change(batch) };
  };
}

class Lookup implements Operator {
  readonly #outer: boolean;
  readonly #reader: KeyReader;
  readonly #table: KeyedTable;
  readonly #stored: StoredRows;
  readonly #nulls: NullKeys;
  readonly #output: JoinOutput;
  #slots: Int32Array = new Int32Array(0);

  constructor(context: OperatorContext, params: LookupJoinParams, table: KeyedTable) {
    this.#outer = params.type === "left";
    this.#reader = new KeyReader(params.leftKey);
    this.#table = table;
    this.#stored = new StoredRows(params.right, table);
    this.#nulls = new NullKeys(params.leftKey);
    this.#output = new JoinOutput(context, params, params.type);
  }

  process(batch: Batch): void {
    const { rows, selection, count } = batch;
    if (this.#slots.length < count) this.#slots = new Int32Array(Math.max(count, 1024));
    const slots = this.#slots;
    this.#table.findAll(this.#reader.read(batch), null, slots, false);
    for (let k = 0; k < count; k++) {
      const row = selection[k] as number;
      const slot = slots[k] as number;
      const timeMs = rows.times[row] as number;
      if (slot >= 0 && !this.#nulls.has(rows, row)) this.#output.emit(rows, row, this.#stored.rows, slot, timeMs, rows.kindOf(row));
      else if (this.#outer) this.#output.emit(rows, row, null, 0, timeMs, rows.kindOf(row));
    }
    this.#output.flush();
  }
}
