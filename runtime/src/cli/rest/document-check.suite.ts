// Asks a REST server and holds its answers against an OpenAPI document.
import { Ajv } from "ajv";
import { expect } from "vitest";

interface Operation {
  readonly responses: Readonly<Record<string, { readonly content?: { readonly "application/json": { readonly schema: object } } }>>;
}

export type Ask = (
  url: string,
  method: string,
  path: string,
  /** The path as the document has it. */
  template: string,
  body?: unknown,
) => Promise<{ readonly status: number; readonly body: unknown }>;

export function checkedAgainst(document: Readonly<Record<string, unknown>>): Ask {
  const paths = document["paths"] as Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  return async (url, method, path, template, body) => {
    const response = await fetch(`${url}${path}`, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
    const answered = (await response.json()) as unknown;
    const schema = paths[template]?.[method.toLowerCase()]?.responses[String(response.status)]?.content?.["application/json"].schema;
    expect(schema, `the document knows ${method} ${template} with ${response.status}`).toBeDefined();
    const ajv = new Ajv({ strict: false });
    const validate = ajv.compile({ ...schema, components: document["components"] });
    expect(validate(answered), `${method} ${path}: ${ajv.errorsText(validate.errors)}`).toBe(true);
    return { status: response.status, body: answered };
  };
}
