// The global tables of a process, one of each for all of its tasks: opened when the first task needs it, again after a failure.
import type { WholeTable } from "../../../core/ports/whole-table.ts";
import type { DataflowNode } from "../../../plan/dataflow.ts";
import { GlobalTable, type GlobalTableHost } from "./global-table.ts";

export class GlobalTables {
  readonly #host: GlobalTableHost;
  readonly #tables = new Map<string, Promise<GlobalTable>>();
  readonly #open = new Map<string, GlobalTable>();

  constructor(host: GlobalTableHost) {
    this.#host = host;
  }

  /** A table that is whole here; undefined where no task has needed it yet. */
  find(uid: string): GlobalTable | undefined {
    const table = this.#open.get(uid);
    return table?.isFilled === true ? table : undefined;
  }

  /** The tables of these sources by uid, once all that their topics hold is in them. `signal` gives the wait up, not the tables. */
  async filled(sources: readonly DataflowNode[], signal: AbortSignal): Promise<ReadonlyMap<string, WholeTable>> {
    if (sources.length === 0) return new Map();
    const filled = Promise.all(
      sources.map(async (source) => {
        const table = await this.#table(source);
        await table.filled;
        return [source.uid, table] as const;
      }),
    );
    const givenUp = new Promise<never>((_resolve, reject) => {
      if (signal.aborted) reject(signal.reason as Error);
      signal.addEventListener("abort", () => reject(signal.reason as Error), { once: true });
    });
    // Whichever loses the race has nobody else to hear of it.
    for (const each of [filled, givenUp]) each.catch(() => undefined);
    return new Map(await Promise.race([filled, givenUp]));
  }

  async #table(source: DataflowNode): Promise<GlobalTable> {
    const known = this.#tables.get(source.uid);
    if (known === undefined) return this.#begin(source, undefined);
    const table = await known;
    if (table.failure === undefined) return table;
    // Of several tasks that failed with it, the first one opens it for all.
    const now = this.#tables.get(source.uid);
    return now === known || now === undefined ? this.#begin(source, table) : now;
  }

  #begin(source: DataflowNode, failed: GlobalTable | undefined): Promise<GlobalTable> {
    const opening = (async () => {
      await failed?.close();
      const table = await GlobalTable.open(source, this.#host);
      this.#open.set(source.uid, table);
      return table;
    })();
    this.#tables.set(source.uid, opening);
    // One that could not be opened is tried again by the next task that needs it.
    opening.catch(() => this.#tables.delete(source.uid));
    return opening;
  }

  async close(): Promise<void> {
    const all = await Promise.allSettled(this.#tables.values());
    this.#tables.clear();
    this.#open.clear();
    for (const each of all) if (each.status === "fulfilled") await each.value.close();
  }
}
