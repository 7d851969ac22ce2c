// The tables of a task's operators, at hand for queries: a state backend that remembers what its operators declare.
import type { KeyedStateBackend, StateBackendFactory } from "../../../core/ports/state-backend.ts";
import type { KeyedMultiTable, KeyedState, KeyedTable, TableSpec } from "../../../core/ports/state.ts";

export type QueryTable =
  | { readonly form: "table"; readonly spec: TableSpec; readonly table: KeyedTable }
  | { readonly form: "multi"; readonly spec: TableSpec; readonly table: KeyedMultiTable };

/** By the operator's uid, its tables in the order in which it declared them. Timers are no store. */
export class TaskStores {
  readonly #tables = new Map<string, QueryTable[]>();

  /** The table of an operator: the one with the name, or the first one. */
  find(uid: string, name: string | undefined): QueryTable | undefined {
    const tables = this.#tables.get(uid);
    return name === undefined ? tables?.[0] : tables?.find(({ spec }) => spec.name === name);
  }

  all(): ReadonlyMap<string, readonly QueryTable[]> {
    return this.#tables;
  }

  /** A backend whose tables are found here. */
  remembering(factory: StateBackendFactory): StateBackendFactory {
    return {
      name: factory.name,
      open: async (options) => {
        const backend = await factory.open(options);
        const tables: QueryTable[] = [];
        this.#tables.set(options.uid, tables);
        return withState(backend, remember(backend.state, tables));
      },
    };
  }
}

function remember(state: KeyedState, tables: QueryTable[]): KeyedState {
  return {
    table(spec) {
      const table = state.table(spec);
      tables.push({ form: "table", spec, table });
      return table;
    },
    multiTable(spec) {
      const table = state.multiTable(spec);
      tables.push({ form: "multi", spec, table });
      return table;
    },
    timers: (name, key, time) => state.timers(name, key, time),
  };
}

function withState(backend: KeyedStateBackend, state: KeyedState): KeyedStateBackend {
  return {
    state,
    restore: (stored) => backend.restore(stored),
    capture: () => backend.capture(),
    startBase: () => backend.startBase(),
    onWatermark: (timeMs) => backend.onWatermark(timeMs),
    sizeBytes: () => backend.sizeBytes(),
    close: () => backend.close(),
  };
}
