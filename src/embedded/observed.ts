// What is known about an EmbeddedStreamApp at one moment: everything that a decision may rest on; and the pieces that decisions are made of.
import type { EmbeddedStreamAppStatus } from "millrace/api";
import type { AppReport, TopicReport } from "../ports/app-client.ts";
import type { SavepointReport } from "../ports/job-client.ts";
import type { AnyObject, EmbeddedStreamApp } from "../ports/objects.ts";
import type { Built } from "../resource/built.ts";
import type { Asked } from "../resource/asked.ts";
import type { DeletionTarget } from "../resource/act.ts";
import type { OtherSeen } from "../resource/others.ts";
import { type Draft, pause as pauseWith, type Problem, record as recordStatus } from "../resource/draft.ts";
import type { StoppedWith } from "./last-words.ts";
import type { AppRevision } from "./revision.ts";

export interface AppPodSeen {
  readonly name: string;
  readonly uid: string;
  readonly ordinal: number;
  readonly revision: string;
  readonly ready: boolean;
  readonly running: boolean;
  readonly deleting: boolean;
  readonly restarts: number;
  readonly waiting: string | undefined;
  readonly message: string | undefined;
  /** The savepoint that has ended its process. */
  readonly stopped: StoppedWith | undefined;
  readonly ip: string | undefined;
  readonly restPort: number;
}

export interface SetSeen {
  readonly uid: string;
  readonly replicas: number;
  readonly builtFrom: string | undefined;
  readonly deleting: boolean;
}

export interface AppObserved {
  readonly nowMs: number;
  readonly app: EmbeddedStreamApp;
  readonly problem: string | undefined;
  /** Oldest first. */
  readonly revisions: readonly AppRevision[];
  readonly set: SetSeen | undefined;
  readonly pods: readonly AppPodSeen[];
  readonly others: readonly OtherSeen[];
  readonly claims: readonly { readonly name: string; readonly uid: string }[];
  /** By pod. */
  readonly reports: ReadonlyMap<string, Asked<AppReport>>;
  readonly topics: Asked<TopicReport>;
  /** What became of the savepoint that all pods are to end with, when one was asked. */
  readonly savepoint: Asked<SavepointReport>;
  readonly built: Built;
}

export type AppStep =
  | { readonly kind: "wait" }
  | { readonly kind: "addFinalizer" }
  | { readonly kind: "removeFinalizer" }
  | { readonly kind: "createToken" }
  | { readonly kind: "createRevision"; readonly revision: AppRevision }
  | { readonly kind: "apply"; readonly objects: readonly AnyObject[] }
  | { readonly kind: "delete"; readonly targets: readonly DeletionTarget[] }
  | { readonly kind: "dropAnnotation"; readonly name: string };

export type AppDraft = Draft<EmbeddedStreamAppStatus, AppStep>;

export const statusOf = (seen: AppObserved): EmbeddedStreamAppStatus => seen.app.status ?? {};

/** Write this down, then look again. */
export const record: typeof recordStatus<EmbeddedStreamAppStatus> = recordStatus;

export const act = (seen: AppObserved, step: AppStep): AppDraft => ({ status: statusOf(seen), step });

export const pause = (seen: AppObserved, againAfterMs?: number, degraded?: Problem): AppDraft =>
  pauseWith(statusOf(seen), againAfterMs, degraded);

export const timeOf = (seen: AppObserved): string => new Date(seen.nowMs).toISOString();
export const sinceMs = (seen: AppObserved, at: string): number => seen.nowMs - Date.parse(at);
