// A backend under test with its clock, its folder and its chain of snapshots; it can be replaced by a restored one.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "../../base/clock.ts";
import type { KeyGroupRange } from "../../core/operator/operator.ts";
import type { KeyedStateBackend, StateBackendFactory } from "../../core/ports/state-backend.ts";
import type { KeyedState } from "../../core/ports/state.ts";
import { allKeyGroups, backendOptions, Chain } from "./fixture.suite.ts";

/** `declare` makes the tables of an instance; it is called again for every restored one. */
export class Opened<Tables> {
  readonly clock = new ManualClock(1000);
  readonly chain = new Chain();
  backend!: KeyedStateBackend;
  tables!: Tables;
  readonly #factory: StateBackendFactory;
  readonly #declare: (state: KeyedState) => Tables;
  #folder = "";
  #opened = 0;

  constructor(factory: StateBackendFactory, declare: (state: KeyedState) => Tables) {
    this.#factory = factory;
    this.#declare = declare;
  }

  async start(): Promise<this> {
    this.#folder = await mkdtemp(join(tmpdir(), "millrace-state-"));
    const { backend, tables } = await this.open();
    this.backend = backend;
    this.tables = tables;
    return this;
  }

  async open(keyGroups: KeyGroupRange = allKeyGroups): Promise<{ backend: KeyedStateBackend; tables: Tables }> {
    const backend = await this.#factory.open(backendOptions(this.clock, join(this.#folder, `instance-${this.#opened++}`), keyGroups));
    return { backend, tables: this.#declare(backend.state) };
  }

  /** Opens the chain as instances with these ranges of key groups. */
  async restored(ranges: readonly KeyGroupRange[]): Promise<{ backend: KeyedStateBackend; tables: Tables }[]> {
    const parts = [];
    for (const range of ranges) {
      const part = await this.open(range);
      await part.backend.restore(this.chain.stored());
      parts.push(part);
    }
    return parts;
  }

  /** Captures, closes, and goes on from what was stored. */
  async restart(): Promise<void> {
    this.chain.capture(this.backend);
    this.chain.abandonScan();
    await this.backend.close();
    const [part] = await this.restored([allKeyGroups]);
    if (part === undefined) throw new Error("nothing was restored");
    this.backend = part.backend;
    this.tables = part.tables;
  }

  async stop(): Promise<void> {
    this.chain.abandonScan();
    await this.backend.close();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
