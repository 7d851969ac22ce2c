// The JSON schema by which `millrace run -f` checks a manifest: the same types, closed, so that a misspelt field is an error.
import { GROUP, VERSION } from "./kinds.ts";
import type { JsonSchema } from "./read-types.ts";

const durationPattern = "^( *[0-9]+([.][0-9]+)? *(ms|sec|s|min|m|h|d) *)+$";
const sizePattern = "^ *[0-9]+([.][0-9]+)? *([kKmMgGtT]i?)?[bB]? *$";

export function manifestSchema(kind: string, manifest: JsonSchema): object {
  const { $schema: _, definitions: __, ...schema } = closed(manifest) as Record<string, unknown> & { properties: Record<string, object> };
  return {
    ...schema,
    properties: { ...schema.properties, apiVersion: { const: `${GROUP}/${VERSION}` }, kind: { const: kind } },
  };
}

function closed(schema: JsonSchema): object {
  const { type, format, properties, items, anyOf, additionalProperties, default: _, ...rest } = schema;
  if (Array.isArray(type)) {
    const pattern = format === "duration" ? durationPattern : sizePattern;
    const minimum = format === "duration" ? 0 : 1;
    return {
      anyOf: [
        { type: "integer", minimum },
        { type: "string", pattern },
      ],
      ...rest,
    };
  }
  return {
    ...(type === undefined ? {} : { type }),
    ...rest,
    ...(properties === undefined
      ? {}
      : { properties: Object.fromEntries(Object.entries(properties).map(([name, value]) => [name, closed(value)])) }),
    ...(items === undefined ? {} : { items: closed(items) }),
    ...(anyOf === undefined ? {} : { anyOf: anyOf.map(closed) }),
    ...(typeof additionalProperties === "object"
      ? { additionalProperties: closed(additionalProperties) }
      : additionalProperties === undefined
        ? {}
        : { additionalProperties }),
  };
}
