// The objects of a resource that are neither a workload nor a pod: of those it counts that they are there, and what they were built from.
import type { ObjectKey } from "../ports/cluster.ts";
import { builtAnnotation, runLabel } from "./names.ts";
import type { Reader } from "./reader.ts";

export interface OtherSeen {
  readonly kind: OtherKind;
  readonly name: string;
  readonly uid: string;
  /** Of which run of the job it is; undefined for what all of its runs share. */
  readonly run: number | undefined;
  readonly builtFrom: string | undefined;
}

export type OtherKind =
  | "ConfigMap"
  | "Service"
  | "Secret"
  | "ServiceAccount"
  | "Role"
  | "RoleBinding"
  | "PodDisruptionBudget"
  | "NetworkPolicy";

/** Those of some kinds. May be a moment old, because acting on them twice does no harm. */
export async function othersOf(cached: Reader, kinds: readonly OtherKind[], key: ObjectKey): Promise<readonly OtherSeen[]> {
  const found = await Promise.all(
    kinds.map(async (kind) => (await cached.owned(kind, key)).map(({ metadata }) => otherSeen(kind, metadata))),
  );
  return found.flat();
}

function otherSeen(
  kind: OtherKind,
  { name, uid, labels, annotations }: { name: string; uid?: string; labels?: Labels; annotations?: Labels },
): OtherSeen {
  const run = labels?.[runLabel];
  return { kind, name, uid: uid ?? "", run: run === undefined ? undefined : Number(run), builtFrom: annotations?.[builtAnnotation] };
}

type Labels = Readonly<Record<string, string>>;
