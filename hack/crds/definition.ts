// A CustomResourceDefinition from a kind and its types.
import { CATEGORY, GROUP, type Kind, VERSION } from "./kinds.ts";
import type { JsonSchema } from "./read-types.ts";
import { type Structural, structural, withRules } from "./structural.ts";

/** The API server's own limit of an annotation is this, and client-side `kubectl apply` keeps the whole definition in one. */
export const MAX_BYTES = 256 * 1024;

export function definition(kind: Kind, read: (type: string) => JsonSchema): object {
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: {
      name: `${kind.plural}.${GROUP}`,
      labels: { "app.kubernetes.io/name": "millrace" },
    },
    spec: {
      group: GROUP,
      scope: "Namespaced",
      names: {
        kind: kind.kind,
        listKind: `${kind.kind}List`,
        plural: kind.plural,
        singular: kind.kind.toLowerCase(),
        shortNames: [kind.shortName],
        categories: [CATEGORY],
      },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          additionalPrinterColumns: kind.columns,
          schema: { openAPIV3Schema: resourceSchema(kind, read) },
          subresources: { status: {}, ...(kind.scale === undefined ? {} : { scale: kind.scale }) },
        },
      ],
    },
  };
}

/** The schema of the whole resource, with its rules. */
export function resourceSchema(kind: Kind, read: (type: string) => JsonSchema): Structural {
  const spec = structural(read(kind.spec), "spec", true);
  const status = structural(read(kind.status), "status", false);
  const schema: Structural = {
    description: kind.description,
    type: "object",
    properties: {
      apiVersion: { type: "string", description: `The version of this kind: ${GROUP}/${VERSION}.` },
      kind: { type: "string", description: `${kind.kind}.` },
      // The API server's own limit, said once more so that it can tell what a rule about the name costs.
      metadata: { type: "object", properties: { name: { type: "string", description: "The name of the resource.", maxLength: 253 } } },
      spec: { ...spec, description: kind.specDescription },
      status: { ...status, description: "What the operator last saw and did. Written by the operator only." },
    },
    required: ["spec"],
  };
  return withRules(schema, kind.rules);
}
