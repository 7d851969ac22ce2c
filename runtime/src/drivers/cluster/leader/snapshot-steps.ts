// The coordinator's steps in the snapshot storage: publishes checkpoints, copies savepoints, records commits.
import { isMillraceError, messageOf } from "../../../base/errors.ts";
import type { CheckpointStore } from "../../../checkpoint/store/checkpoint-store.ts";
import { keyGroupRange } from "../../../plan/key-groups.ts";
import type { CoordinatorAction, CoordinatorEvent, StorageStep } from "../coordinator/types.ts";
import type { JobGraph } from "../coordinator/job-graph.ts";

type Step = Extract<CoordinatorAction, { readonly kind: "publish" | "makeSavepoint" | "markCommitted" }>;

export interface SnapshotStepsParts {
  readonly store: CheckpointStore;
  readonly graph: JobGraph;
  /** How many subtasks a vertex has now. */
  readonly subtasksOf: (uid: string) => number;
  readonly tell: (event: CoordinatorEvent) => void;
  /** A later leader has taken the job over. */
  readonly fenced: (reason: string) => void;
}

export class SnapshotSteps {
  readonly #parts: SnapshotStepsParts;
  readonly #work = new Set<Promise<void>>();

  constructor(parts: SnapshotStepsParts) {
    this.#parts = parts;
  }

  take(action: Step): void {
    const step: StorageStep = action.kind === "publish" ? "publish" : action.kind === "makeSavepoint" ? "savepoint" : "markCommitted";
    const done = this.#do(action)
      .catch((error: unknown) => {
        const code = isMillraceError(error) ? error.code : "INTERNAL";
        if (code === "FENCED") this.#parts.fenced(messageOf(error));
        else
          this.#parts.tell({
            kind: "storageFailed",
            step,
            checkpointId: action.checkpointId,
            failure: { code, message: messageOf(error) },
          });
      })
      .finally(() => this.#work.delete(done));
    this.#work.add(done);
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#work);
  }

  async #do(action: Step): Promise<void> {
    const { store, tell } = this.#parts;
    const { checkpointId } = action;
    switch (action.kind) {
      case "publish": {
        const { url, writtenBytes, totalBytes } = await store.publish(checkpointId, action.acks, action.sources);
        tell({ kind: "published", checkpointId, url, writtenBytes, totalBytes });
        this.#compact();
        return;
      }
      case "makeSavepoint":
        tell({ kind: "savepointMade", checkpointId, result: await store.savepoint(checkpointId, action.id) });
        return;
      case "markCommitted":
        await store.markCommitted(checkpointId, action.savepointId);
        tell({ kind: "markedCommitted", checkpointId });
        return;
    }
  }

  // Asks for a new base where too many deltas have piled up.
  #compact(): void {
    const { store, graph, subtasksOf, tell } = this.#parts;
    for (const { uid, keyed } of graph.regions.flatMap((region) => region.vertices)) {
      if (!keyed) continue;
      const parallelism = subtasksOf(uid);
      for (let subtask = 0; subtask < parallelism; subtask++) {
        const due = store.compactionDue(uid, keyGroupRange(subtask, parallelism, graph.maxParallelism));
        if (due === "base") tell({ kind: "baseDue", uid, subtask });
      }
    }
  }
}
