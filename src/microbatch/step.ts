// The one thing to do next for a MicroBatchJob, and what to write down before it is done.
import type { MicroBatchJobStatus } from "millrace/api";
import type { AnyObject } from "../ports/objects.ts";
import type { DeletionTarget } from "../resource/act.ts";
import type { Decision } from "../resource/draft.ts";
import type { BatchRevision } from "./revision.ts";

export type BatchStep =
  | { readonly kind: "wait" }
  | { readonly kind: "addFinalizer" }
  | { readonly kind: "removeFinalizer" }
  | { readonly kind: "createToken" }
  | { readonly kind: "createRevision"; readonly revision: BatchRevision }
  | { readonly kind: "apply"; readonly objects: readonly AnyObject[] }
  /** A pod cannot be changed, so it is made once. */
  | { readonly kind: "createDriver"; readonly object: AnyObject }
  | { readonly kind: "delete"; readonly targets: readonly DeletionTarget[] }
  | { readonly kind: "stopWithSavepoint"; readonly run: number; readonly id: string }
  | { readonly kind: "stop"; readonly run: number; readonly mode: "after-batch" | "immediate" }
  | { readonly kind: "dropAnnotation"; readonly name: string }
  /** Its time to live is over. */
  | { readonly kind: "deleteSelf" };

export type BatchDecision = Decision<MicroBatchJobStatus, BatchStep>;
