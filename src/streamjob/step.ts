// The one thing to do next, and what to write down before it is done.
import type { RestorePoint, StreamJobStatus } from "millrace/api";
import type { SavepointMode } from "../ports/job-client.ts";
import type { AnyObject, Savepoint } from "../ports/objects.ts";
import type { DeletionTarget } from "../resource/act.ts";
import type { Decision as ResourceDecision } from "../resource/draft.ts";
import type { Revision } from "./revision.ts";

export type Step =
  | { readonly kind: "wait" }
  | { readonly kind: "addFinalizer" }
  | { readonly kind: "removeFinalizer" }
  | { readonly kind: "createToken" }
  | { readonly kind: "createRevision"; readonly revision: Revision }
  | { readonly kind: "apply"; readonly objects: readonly AnyObject[] }
  | { readonly kind: "delete"; readonly targets: readonly DeletionTarget[] }
  | { readonly kind: "startRun"; readonly run: number; readonly restore: RestorePoint }
  | { readonly kind: "startSavepoint"; readonly run: number; readonly id: string; readonly mode: SavepointMode }
  | { readonly kind: "rescale"; readonly run: number; readonly parallelism: number }
  | { readonly kind: "createSavepoint"; readonly object: Savepoint }
  /** Makes a Savepoint that has been taken already known as a resource. */
  | { readonly kind: "recordSavepoint"; readonly object: Savepoint }
  | { readonly kind: "dropAnnotation"; readonly name: string };

export type Decision = ResourceDecision<StreamJobStatus, Step>;
