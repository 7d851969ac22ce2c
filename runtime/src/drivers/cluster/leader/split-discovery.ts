// Looks for splits on behalf of the coordinator: one enumerator per source, opened anew when its region is deployed anew.
import type { Clock } from "../../../base/clock.ts";
import { isMillraceError, messageOf } from "../../../base/errors.ts";
import type { Log } from "../../../base/log.ts";
import type { SplitEnumerator } from "../../../core/ports/source.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";
import type { CoordinatorEvent } from "../coordinator/types.ts";

interface Watch {
  readonly generation: number;
  enumerator: SplitEnumerator | undefined;
  cancel: (() => void) | undefined;
  over: boolean;
}

export interface SplitDiscoveryParts {
  readonly dataflow: Dataflow;
  readonly clock: Clock;
  readonly log: Log;
  readonly known: (uid: string) => ReadonlySet<string>;
  readonly tell: (event: CoordinatorEvent) => void;
}

export class SplitDiscovery {
  readonly #parts: SplitDiscoveryParts;
  readonly #watches = new Map<string, Watch>();
  readonly #work = new Set<Promise<void>>();

  constructor(parts: SplitDiscoveryParts) {
    this.#parts = parts;
  }

  start(uid: string, generation: number, state: unknown, known: ReadonlySet<string>): void {
    this.stop(uid);
    const watch: Watch = { generation, enumerator: undefined, cancel: undefined, over: false };
    this.#watches.set(uid, watch);
    this.#do(uid, watch, async () => {
      const node = this.#parts.dataflow.nodes.find((one) => one.uid === uid);
      if (node?.body.kind !== "source") throw new Error(`${uid} is no source`);
      const { clock, log, dataflow } = this.#parts;
      const context = { jobName: dataflow.name, uid, subtask: 0, clock, log: log.child({ uid }) };
      watch.enumerator = await node.body.source.openEnumerator(context, state);
      await this.#look(uid, watch, known);
    });
  }

  stop(uid: string): void {
    const watch = this.#watches.get(uid);
    this.#watches.delete(uid);
    if (watch !== undefined) this.#end(watch);
  }

  async close(): Promise<void> {
    for (const uid of [...this.#watches.keys()]) this.stop(uid);
    await Promise.allSettled(this.#work);
  }

  async #look(uid: string, watch: Watch, known: ReadonlySet<string>): Promise<void> {
    const { enumerator, generation } = watch;
    if (enumerator === undefined || watch.over) return;
    const splits = await enumerator.discover(known);
    if (watch.over) return;
    const exhausted = enumerator.intervalMs === Infinity;
    this.#parts.tell({ kind: "discovered", uid, generation, splits, exhausted, enumerator: enumerator.snapshot?.() });
    if (!exhausted) this.#again(uid, watch, enumerator.intervalMs);
  }

  #again(uid: string, watch: Watch, delayMs: number): void {
    watch.cancel = this.#parts.clock.after(delayMs, () => this.#do(uid, watch, () => this.#look(uid, watch, this.#parts.known(uid))));
  }

  #do(uid: string, watch: Watch, work: () => Promise<void>): void {
    const { generation } = watch;
    const done = work()
      .catch((error: unknown) => {
        if (watch.over) return;
        const code = isMillraceError(error) ? error.code : "INTERNAL";
        this.#parts.tell({ kind: "discoverFailed", uid, generation, failure: { code, message: messageOf(error) } });
        const intervalMs = watch.enumerator?.intervalMs;
        if (intervalMs !== undefined && intervalMs !== Infinity) this.#again(uid, watch, intervalMs);
      })
      .finally(() => {
        this.#work.delete(done);
        if (watch.over) this.#end(watch);
      });
    this.#work.add(done);
  }

  #end(watch: Watch): void {
    watch.over = true;
    watch.cancel?.();
    const { enumerator } = watch;
    watch.enumerator = undefined;
    if (enumerator === undefined) return;
    const closing = enumerator
      .close()
      .catch((error: unknown) => this.#parts.log.warn("source's enumerator did not close", { reason: messageOf(error) }))
      .finally(() => this.#work.delete(closing));
    this.#work.add(closing);
  }
}
