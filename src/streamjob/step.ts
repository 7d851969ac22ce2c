// The one thing to do next, and what to write down before it is done.
import type { RestorePoint, StreamJobStatus } from "millrace/api";
import type { EventNote } from "../controller/event-recorder.ts";
import type { SavepointMode } from "../ports/job-client.ts";
import type { AnyObject, Kind, Savepoint } from "../ports/objects.ts";
import type { Revision } from "./revision.ts";

export interface DeletionTarget {
  readonly kind: Kind;
  readonly name: string;
  readonly uid: string;
}

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

export interface Decision {
  /** Written first, when it differs from what is there; the step is taken only when nothing had to be written. */
  readonly status: StreamJobStatus;
  readonly step: Step;
  /** Look again after this though nothing changes, ms. */
  readonly againAfterMs?: number;
  /** Told when the status is written. */
  readonly events: readonly EventNote[];
}
