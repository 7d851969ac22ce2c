// The contract of keyed state backends: random operations against plain maps, with captures, base scans, restores and rescaling.
import { describe } from "vitest";
import type { StateBackendFactory } from "../core/ports/state-backend.ts";
import { keyedTableSuite } from "./suite/keyed-table.suite.ts";
import { multiTableSuite } from "./suite/multi-table.suite.ts";
import { restoreSuite } from "./suite/restore.suite.ts";
import { timersSuite } from "./suite/timers.suite.ts";

export interface SuiteBackend {
  readonly factory: StateBackendFactory;
  /** How many random cases each property runs. */
  readonly runs: number;
}

export function stateBackendSuite(backend: SuiteBackend): void {
  describe(`state backend ${backend.factory.name}`, () => {
    keyedTableSuite(backend);
    multiTableSuite(backend);
    timersSuite(backend);
    restoreSuite(backend);
  });
}
