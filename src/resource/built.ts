// What a resource's objects were last built from, and what came of it: they are built and digested again only when something of that is another.
import type { AnyObject, KubeObject } from "../ports/objects.ts";
import { builtAnnotation } from "./names.ts";
import type { OtherSeen } from "./others.ts";

/** All that something is built from: values, and parts of objects as they were read, which nobody changes in place. */
export type Inputs = readonly unknown[];

/** Of one resource, and forgotten with it. Saves work and decides nothing: an empty one gives the same answers. */
export class Built {
  // Only the last of each: what is another comes with a change of the resource, and does not come back.
  readonly #last = new Map<string, { readonly from: Inputs; readonly result: unknown }>();

  of<T>(what: "objects" | "workloads" | "revision", from: Inputs, build: () => T): T {
    const last = this.#last.get(what);
    if (last !== undefined && isSame(last.from, from)) return last.result as T;
    const result = build();
    this.#last.set(what, { from, result });
    return result;
  }
}

const isSame = (a: Inputs, b: Inputs): boolean => a.length === b.length && a.every((input, index) => Object.is(input, b[index]));

/** Everything of a resource but its status: the API server raises the generation with every change of the spec. */
export const inputsOf = ({ apiVersion, kind, metadata, spec }: KubeObject & { readonly spec: object }): Inputs => [
  ...[apiVersion, kind, metadata.name, metadata.namespace, metadata.uid],
  metadata.generation ?? spec,
];

/** Those of the objects that are not there, or were built from something else. Kept of them is only by what they are told. */
export function missingOf(
  { others, built }: { readonly others: readonly OtherSeen[]; readonly built: Built },
  from: Inputs,
  build: () => readonly AnyObject[],
): readonly AnyObject[] {
  const isThere = ({ kind, name, builtFrom }: Expected): boolean =>
    others.some((other) => other.kind === kind && other.name === name && other.builtFrom === builtFrom);
  if (built.of("objects", from, () => build().map(expectedOf)).every(isThere)) return [];
  return build().filter((object) => !isThere(expectedOf(object)));
}

interface Expected {
  readonly kind: string;
  readonly name: string;
  readonly builtFrom: string | undefined;
}

const expectedOf = ({ kind, metadata }: AnyObject): Expected => ({
  ...{ kind, name: metadata.name },
  builtFrom: metadata.annotations?.[builtAnnotation],
});
