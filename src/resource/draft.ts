// What a decision is, for every kind of resource: what to write down, the one step to take, and the pieces that decisions are made of.
import type { EventNote } from "../controller/event-recorder.ts";

export interface Problem {
  /** A stable word in CamelCase. */
  readonly reason: string;
  readonly message: string;
}

/** The steps of a kind are a union of such; every kind has these. */
export type CommonStep = { readonly kind: "wait" } | { readonly kind: "dropAnnotation"; readonly name: string };

export interface AnyStep {
  readonly kind: string;
}

export interface Decision<S, T extends AnyStep> {
  /** Written first, when it differs from what is there; the step is taken only when nothing had to be written. */
  readonly status: S;
  readonly step: T;
  /** Look again after this though nothing changes, ms. */
  readonly againAfterMs?: number;
  /** Told when the status is written. */
  readonly events: readonly EventNote[];
}

/** A decision before the part of the status that people read is made. */
export interface Draft<S, T extends AnyStep> {
  readonly status: S;
  readonly step: T;
  readonly againAfterMs?: number;
  readonly events?: readonly EventNote[];
  /** Something is wrong that the operator cannot mend by itself, or not yet. */
  readonly degraded?: Problem;
}

export interface Waiting<S> extends Draft<S, { readonly kind: "wait" }> {}

/** Write this down, then look again. */
export const record = <S extends object>(
  status: { readonly [K in keyof S]: S[K] | undefined },
  events: readonly EventNote[] = [],
  degraded?: Problem,
): Waiting<S> => ({
  status: withoutUndefined<S>(status),
  step: { kind: "wait" },
  againAfterMs: 0,
  events,
  ...(degraded === undefined ? {} : { degraded }),
});

/** Nothing is to be done until something changes, or until then. */
export const pause = <S>(status: S, againAfterMs?: number, degraded?: Problem): Waiting<S> => ({
  status,
  step: { kind: "wait" },
  ...(againAfterMs === undefined ? {} : { againAfterMs }),
  ...(degraded === undefined ? {} : { degraded }),
});

/** A decision from a draft and the whole status. */
export const decided = <S, T extends AnyStep>({ step, events = [], againAfterMs }: Draft<S, T>, status: S): Decision<S, T> => ({
  status,
  step,
  events,
  ...(againAfterMs === undefined ? {} : { againAfterMs }),
});

/** An optional field that is undefined is one that is not there: statuses are compared. */
export function withoutUndefined<T extends object>(value: { readonly [K in keyof T]: T[K] | undefined }): T {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as T;
}

export const normal = (reason: string, message: string): EventNote => ({ type: "Normal", reason, message });
export const warning = (reason: string, message: string): EventNote => ({ type: "Warning", reason, message });
