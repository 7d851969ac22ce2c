// A JSON schema as the structural schema that a CustomResourceDefinition needs: no alternatives, no closed objects, every field described.
import type { JsonSchema } from "./read-types.ts";
import type { Rule } from "./rules/rule.ts";

/** A structural schema: https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/. */
export interface Structural {
  type?: string;
  description?: string;
  default?: unknown;
  enum?: readonly unknown[];
  pattern?: string;
  format?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  minItems?: number;
  maxItems?: number;
  maxProperties?: number;
  required?: readonly string[];
  properties?: Record<string, Structural>;
  additionalProperties?: Structural;
  items?: Structural;
  anyOf?: readonly Structural[];
  "x-kubernetes-int-or-string"?: true;
  "x-kubernetes-preserve-unknown-fields"?: true;
  "x-kubernetes-list-type"?: "atomic" | "set" | "map";
  "x-kubernetes-list-map-keys"?: readonly string[];
  "x-kubernetes-validations"?: object[];
}

// Limits where the types name none: a rule over a value of unknown size would be refused as too costly.
const MAP_ENTRIES = 256;
const LIST_ITEMS = 256;
const TEXT_LENGTH = 32_768;
const ITEM_LENGTH = 2048;

const durations = {
  rule: "type(self) == int ? self >= 0 : self.matches('^( *[0-9]+([.][0-9]+)? *(ms|sec|s|min|m|h|d) *)+$')",
  message: 'must be a duration such as "10 s", "5 min" or "1 h 30 min", or milliseconds as a whole number',
};
const sizes = {
  rule: "type(self) == int ? self >= 1 : self.matches('^ *[0-9]+([.][0-9]+)? *([kKmMgGtT]i?)?[bB]? *$')",
  message: 'must be a size such as "256Mi" or "1 GB", or bytes as a whole number',
};

/** `limits` adds limits where there are none: for what people write, not for what the operator does. */
export function structural(schema: JsonSchema, path: string, limits: boolean): Structural {
  const described = schema.description === undefined ? {} : { description: plain(schema.description) };
  const kept = keep(schema, ["default", "enum", "pattern", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems"]);
  if (schema.anyOf !== undefined) return { ...described, ...kept, ...union(schema.anyOf, path, limits) };
  if (Array.isArray(schema.type)) return { ...described, ...kept, ...intOrString(schema.format, path) };
  switch (schema.type) {
    case "object":
      return { ...described, ...kept, ...object(schema, path, limits) };
    case "array":
      return { ...described, ...kept, ...list(schema, path, limits) };
    case "string":
      return {
        ...described,
        type: "string",
        ...kept,
        ...(limits ? { maxLength: schema.maxLength ?? (path.endsWith("[]") ? ITEM_LENGTH : TEXT_LENGTH) } : {}),
      };
    case "integer":
      return { ...described, type: "integer", format: "int64", ...kept };
    case "number":
    case "boolean":
      return { ...described, type: schema.type, ...kept };
    default:
      throw new Error(`${path}: a schema cannot say ${JSON.stringify(schema)}`);
  }
}

function keep(schema: JsonSchema, names: readonly (keyof JsonSchema)[]): object {
  return Object.fromEntries(names.filter((name) => schema[name] !== undefined).map((name) => [name, schema[name]]));
}

function object(schema: JsonSchema, path: string, limits: boolean): Structural {
  if (schema.properties === undefined) {
    const values = schema.additionalProperties;
    if (typeof values !== "object" || Object.keys(values).length === 0)
      return { type: "object", "x-kubernetes-preserve-unknown-fields": true };
    const additionalProperties = structural(values, `${path}{}`, limits);
    return { type: "object", additionalProperties, ...(limits ? { maxProperties: MAP_ENTRIES } : {}) };
  }
  const properties: Record<string, Structural> = {};
  for (const [name, value] of Object.entries(schema.properties)) {
    if (value.description === undefined) throw new Error(`${path}.${name} has no description: write a comment above it`);
    properties[name] = structural(value, `${path}.${name}`, limits);
  }
  return { type: "object", properties, ...(schema.required === undefined ? {} : { required: schema.required }) };
}

function list(schema: JsonSchema, path: string, limits: boolean): Structural {
  if (schema.items === undefined) throw new Error(`${path} has no items`);
  const isConditions = path.endsWith(".conditions");
  return {
    type: "array",
    items: structural(schema.items, `${path}[]`, limits),
    ...(limits ? { maxItems: schema.maxItems ?? LIST_ITEMS } : {}),
    "x-kubernetes-list-type": isConditions ? "map" : "atomic",
    ...(isConditions ? { "x-kubernetes-list-map-keys": ["type"] } : {}),
  };
}

/** Alternatives become one object with the fields of all; a rule says which go together. */
function union(alternatives: readonly JsonSchema[], path: string, limits: boolean): Structural {
  if (!alternatives.every((one) => one.type === "object" && one.properties !== undefined))
    throw new Error(`${path}: alternatives must be objects`);
  const properties = Object.assign({}, ...alternatives.map((one) => one.properties ?? {})) as Record<string, JsonSchema>;
  return object({ type: "object", properties }, path, limits);
}

function intOrString(format: string | undefined, path: string): Structural {
  const rule = format === "duration" ? durations : format === "size" ? sizes : undefined;
  if (rule === undefined) throw new Error(`${path}: text or number must be a @format duration or size`);
  return {
    anyOf: [{ type: "integer" }, { type: "string" }],
    maxLength: 64,
    "x-kubernetes-int-or-string": true,
    "x-kubernetes-validations": [rule],
  };
}

/** Comments are Markdown; `kubectl explain` is plain. */
const plain = (text: string): string => text.replaceAll(/\s*\n\s*/g, " ").replaceAll("`", "");

/** Puts the rules in their places. A pattern there goes: its message would say nothing but the pattern. */
export function withRules(root: Structural, rules: readonly Rule[]): Structural {
  for (const { at, rule, message, messageExpression, field } of rules) {
    const place = find(root, at);
    delete place.pattern;
    const validation = {
      rule,
      ...(message === undefined ? {} : { message }),
      ...(messageExpression === undefined ? {} : { messageExpression }),
      ...(field === undefined ? {} : { fieldPath: field }),
    };
    place["x-kubernetes-validations"] = [...(place["x-kubernetes-validations"] ?? []), validation];
  }
  return root;
}

function find(root: Structural, at: string): Structural {
  let place: Structural | undefined = root;
  for (const step of at === "" ? [] : at.split(".")) {
    const name = step.replace(/(\[\]|\{\})$/, "");
    place = place?.properties?.[name];
    if (step.endsWith("[]")) place = place?.items;
    if (step.endsWith("{}")) place = place?.additionalProperties;
  }
  if (place === undefined) throw new Error(`a rule is for ${at}, which the types do not have`);
  return place;
}
