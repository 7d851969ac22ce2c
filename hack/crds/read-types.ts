// A TypeScript interface of the manifests as a JSON schema, with its comments as descriptions and its tags as limits and defaults.
import { fileURLToPath } from "node:url";
import { createGenerator } from "ts-json-schema-generator";

/** The keywords of JSON schema that the types of manifests come out as. */
export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly JsonSchema[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly additionalProperties?: boolean | JsonSchema;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly description?: string;
  readonly default?: unknown;
  readonly format?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
}

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Reads types of `runtime/src/api`; every type that it names is written out in place. */
export function typeReader(): (type: string) => JsonSchema {
  const generator = createGenerator({
    path: `${root}runtime/src/api/index.ts`,
    tsconfig: `${root}hack/crds/tsconfig.json`,
    expose: "none",
    topRef: false,
    jsDoc: "extended",
    // The compiler of this project checks the types; the generator's own, older one reads them only.
    skipTypeCheck: true,
    additionalProperties: false,
  });
  return (type) => generator.createSchema(type) as JsonSchema;
}
