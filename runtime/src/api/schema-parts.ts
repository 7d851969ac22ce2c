// The pieces that JSON schemas of manifests are made of.

export const duration = (description: string): object => ({
  anyOf: [
    { type: "integer", minimum: 0 },
    { type: "string", minLength: 1 },
  ],
  description,
});
export const text = (description: string): object => ({ type: "string", minLength: 1, description });
export const boolean = (description: string): object => ({ type: "boolean", description });
export const integer = (minimum: number, description: string): object => ({ type: "integer", minimum, description });
export const strings = (description: string): object => ({ type: "object", additionalProperties: { type: "string" }, description });
export const object = (properties: Readonly<Record<string, object>>, required: readonly string[], description: string): object => ({
  type: "object",
  additionalProperties: false,
  properties,
  required,
  description,
});
