// Which instance owns which key groups: contiguous ranges, so that rescaling moves as few as it can (Flink's assignment).
import type { KeyGroupRange } from "../core/operator/operator.ts";

/** The instance, of `parallelism`, that owns a key group. */
export function ownerOfKeyGroup(keyGroup: number, parallelism: number, maxParallelism: number): number {
  return Math.floor((keyGroup * parallelism) / maxParallelism);
}

/** The key groups of instance `subtask`. The ranges of all instances cover every key group exactly once. */
export function keyGroupRange(subtask: number, parallelism: number, maxParallelism: number): KeyGroupRange {
  return {
    from: Math.ceil((subtask * maxParallelism) / parallelism),
    to: Math.ceil(((subtask + 1) * maxParallelism) / parallelism),
  };
}
