// What the simulated world keeps whatever dies: the execution record, published checkpoints and savepoints, and the output that readers see.
import { expect } from "vitest";
import type { SavepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";
import type { CoordinatorAction, ExecutionRecord, LatestSnapshot } from "./types.ts";

type Publish = Extract<CoordinatorAction, { kind: "publish" }>;

export class SimulatedStorage {
  record: ExecutionRecord | undefined;
  latest: LatestSnapshot | undefined;
  readonly savepoints = new Map<string, SavepointResult>();
  /** What readers see: `split position` by the checkpoint that made it visible. */
  readonly visible = new Map<string, number>();
  /** Lines of output by checkpoint. */
  readonly #outputs = new Map<number, readonly string[]>();

  /** The newest checkpoint of which something is visible. */
  lastVisible(): number {
    return Math.max(0, ...this.visible.values());
  }

  /** The newest checkpoint that was published, and the newest of them that holds output. */
  lastPublished(): { readonly id: number; readonly withOutput: number } {
    const withOutput = [...this.#outputs].flatMap(([id, output]) => (output.length > 0 ? [id] : []));
    return { id: this.latest?.checkpointId ?? 0, withOutput: Math.max(0, ...withOutput) };
  }

  /** Whether it is a new one, and the splits that it holds. */
  publish({
    checkpointId,
    acks,
    sources,
  }: Publish): { readonly held: readonly string[]; readonly finished: readonly string[] } | undefined {
    if (this.latest?.checkpointId === checkpointId) return undefined;
    expect(checkpointId, "checkpoints are published in order").toBeGreaterThan(this.latest?.checkpointId ?? 0);
    expect(this.latest?.committed ?? true, "a checkpoint is published when the one before it is committed").toBe(true);
    const subtasks = acks.flatMap((ack) => ack.subtasks);
    for (const [uid, some] of Map.groupBy(subtasks, (one) => one.uid)) {
      expect(new Set(some.map((one) => one.subtask)).size, `all instances of ${uid} once`).toBe(some[0]?.parallelism);
      expect(some.length).toBe(some[0]?.parallelism);
    }
    this.#outputs.set(
      checkpointId,
      subtasks.flatMap((one) => (one.sink !== undefined && "inline" in one.sink ? (JSON.parse(one.sink.inline) as string[]) : [])),
    );
    const restored = new Map<string, LatestSnapshot["sources"] extends ReadonlyMap<string, infer S> ? S : never>();
    for (const [uid, { finished = [] }] of sources) {
      const splits = subtasks.flatMap((one) => (one.uid === uid ? (one.splits ?? []) : []));
      const ids = [...splits.map(({ id }) => id), ...finished];
      expect(new Set(ids).size, `no split of ${uid} twice: ${ids.join(" ")}`).toBe(ids.length);
      restored.set(uid, {
        splits: splits.map(({ id, position }) => ({ split: { id, position }, watermarkMs: -Infinity })),
        finished,
        enumerator: undefined,
      });
    }
    this.latest = { checkpointId, url: `chk-${checkpointId}`, committed: false, own: true, sources: restored };
    return {
      held: subtasks.flatMap((one) => one.splits ?? []).map(({ id, position }) => `${id}@${String(position)}`),
      finished: [...sources.values()].flatMap(({ finished = [] }) => finished),
    };
  }

  makeSavepoint(id: string, checkpointId: number): void {
    const times = { cutAtMs: 1, completedAtMs: 2 };
    this.savepoints.set(id, { id, url: `sp/${id}`, checkpointId, totalBytes: 1, formatVersion: 1, ...times });
  }

  markCommitted(checkpointId: number): void {
    if (this.latest?.checkpointId === checkpointId) this.latest = { ...this.latest, committed: true };
  }

  /** Commits a slice's share of a checkpoint: what was published, and nothing else, and once however often it is asked for. */
  show(checkpointId: number, output: readonly string[]): void {
    const all = new Set(this.#outputs.get(checkpointId));
    for (const line of output) {
      expect(all.has(line), `what is committed of checkpoint ${checkpointId} was published`).toBe(true);
      const before = this.visible.get(line);
      if (before !== undefined) expect(before, `${line} becomes visible by one checkpoint`).toBe(checkpointId);
      this.visible.set(line, checkpointId);
    }
  }

  /** Restoring commits what the snapshot's sinks had prepared. */
  showAll(checkpointId: number): void {
    this.show(checkpointId, this.#outputs.get(checkpointId) ?? []);
  }
}
