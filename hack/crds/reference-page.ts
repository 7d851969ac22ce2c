// The reference page of a kind: every field with its type, default, limits and meaning, from the schema of its definition.
import { resourceSchema } from "./definition.ts";
import { CATEGORY, GROUP, type Kind, VERSION } from "./kinds.ts";
import type { JsonSchema } from "./read-types.ts";
import type { Structural } from "./structural.ts";

export function referencePage(kind: Kind, read: (type: string) => JsonSchema): string {
  const schema = resourceSchema(kind, read);
  const names = `\`${kind.plural}.${GROUP}/${VERSION}\`, short \`${kind.shortName}\`, in the category \`${CATEGORY}\``;
  const rules = collectRules(schema, "");
  return [
    `# ${kind.kind}`,
    "",
    "<!-- Made from runtime/src/api by `npm run crds`: change the types, not this page. -->",
    "",
    kind.description,
    "",
    `${names}. \`kubectl explain ${kind.kind.toLowerCase()}.spec --recursive\` says the same on the command line.`,
    "",
    "## Spec",
    "",
    ...table(schema.properties?.["spec"], "spec"),
    "",
    "## Rules",
    "",
    "Checked when a manifest is applied; the message names the field.",
    "",
    "| Field | The API server says |",
    "|---|---|",
    ...rules.map(({ at, message }) => `| \`${at}\` | ${cell(message)} |`),
    "",
    "## Status",
    "",
    "Written by the operator only.",
    "",
    ...table(schema.properties?.["status"], "status"),
    "",
  ].join("\n");
}

function table(schema: Structural | undefined, path: string): readonly string[] {
  return ["| Field | Type | Default | Meaning |", "|---|---|---|---|", ...rows(schema, path)];
}

function rows(schema: Structural | undefined, path: string): readonly string[] {
  const inner = schema?.items?.properties === undefined ? schema : schema.items;
  return Object.entries(inner?.properties ?? {}).flatMap(([name, field]) => {
    const here = `${path}.${name}${field.items?.properties === undefined ? "" : "[]"}`;
    const required = inner?.required?.includes(name) === true ? "required" : "";
    const fallback = field.default === undefined ? required : `\`${JSON.stringify(field.default)}\``;
    return [`| \`${here}\` | ${typeOf(field)} | ${fallback} | ${cell(field.description ?? "")} |`, ...rows(field, here)];
  });
}

function typeOf(field: Structural): string {
  if (field["x-kubernetes-int-or-string"] === true) return "text or integer";
  if (field.enum !== undefined) return field.enum.map((value) => `\`${String(value)}\``).join(", ");
  if (field.type === "array") return `list of ${field.items?.type === "object" ? "objects" : typeOf(field.items ?? {})}`;
  if (field.additionalProperties !== undefined) return `map of ${typeOf(field.additionalProperties)}`;
  const range = [field.minimum, field.maximum].some((limit) => limit !== undefined)
    ? ` ${field.minimum ?? ""}..${field.maximum ?? ""}`
    : "";
  return `${field.type === "string" ? "text" : (field.type ?? "any")}${range}`;
}

interface PlacedMessage {
  readonly at: string;
  readonly message: string;
}

function collectRules(schema: Structural, path: string): readonly PlacedMessage[] {
  const here = (schema["x-kubernetes-validations"] ?? []) as readonly {
    readonly message?: string;
    readonly messageExpression?: string;
    readonly fieldPath?: string;
  }[];
  const isCommon = schema["x-kubernetes-int-or-string"] === true;
  const own = isCommon
    ? []
    : here.map((one) => ({
        at: (path + (one.fieldPath ?? "")).replace(/^\./, "") || "the resource",
        message: one.message ?? fromExpression(one.messageExpression ?? ""),
      }));
  const inner = [
    ...Object.entries(schema.properties ?? {}).flatMap(([name, field]) => collectRules(field, `${path}.${name}`)),
    ...(schema.items === undefined ? [] : collectRules(schema.items, `${path}[]`)),
  ];
  return [...own, ...inner];
}

/** `'put back ' + oldSelf + ', or'` reads as "put back (the old value), or". */
const fromExpression = (expression: string): string =>
  expression.replaceAll(/' \+ (string\()?oldSelf\)? \+ '/g, "(the old value)").replaceAll(/^'|'$/g, "");

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll(/<(?=[a-z])/g, "\\<");
