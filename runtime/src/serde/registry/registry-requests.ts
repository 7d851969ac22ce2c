// What is asked of a schema registry, without doing it: each question is a generator that yields requests and is given the answers.
// One driver awaits them (registry.ts), another blocks (blocking-fetch.ts).
import { MillraceError } from "../../base/errors.ts";

export type SchemaType = "AVRO" | "PROTOBUF" | "JSON";

export interface SchemaReference {
  /** How the schema names what it refers to: a full type name in Avro, an import path in Protobuf. */
  readonly name: string;
  readonly subject: string;
  readonly version: number;
}

/** A schema as the registry holds it, with what it refers to. */
export interface RegisteredSchema {
  readonly id: number;
  readonly type: SchemaType;
  readonly text: string;
  /** Schemas that this one refers to, by the name it uses; theirs included, each before those that refer to it. */
  readonly references: readonly { readonly name: string; readonly text: string }[];
}

/** A schema to be looked up or registered. */
export interface NewSchema {
  readonly type: SchemaType;
  readonly text: string;
  readonly references?: readonly SchemaReference[];
}

export interface RegistryRequest {
  readonly method: "GET" | "POST";
  /** From the registry's address on; parts are encoded. */
  readonly path: string;
  readonly body?: string;
}

export interface RegistryAnswer {
  readonly status: number;
  readonly body: string;
}

export type Conversation<T> = Generator<RegistryRequest, T, RegistryAnswer>;

/** Schemas that one schema may refer to, all levels together. */
const maxReferences = 200;

interface SchemaBody {
  readonly id?: number;
  readonly schema: string;
  readonly schemaType?: SchemaType;
  readonly references?: readonly SchemaReference[];
}

function parseBody(answer: RegistryAnswer, subject: string): Readonly<Record<string, unknown>> {
  try {
    const body: unknown = JSON.parse(answer.body);
    if (typeof body === "object" && body !== null) return body as Readonly<Record<string, unknown>>;
  } catch (cause) {
    throw strange(subject, "is not JSON", cause);
  }
  throw strange(subject, "is no object");
}

function schemaIn(answer: RegistryAnswer, subject: string): SchemaBody {
  const body = parseBody(answer, subject);
  const { id, schema, schemaType, references = [] } = body;
  if (typeof schema !== "string") throw strange(subject, "has no schema");
  if (id !== undefined && !Number.isSafeInteger(id)) throw strange(subject, "has an id that is no whole number");
  if (schemaType !== undefined && typeof schemaType !== "string") throw strange(subject, "has a schemaType that is no text");
  if (references !== null && !(Array.isArray(references) && references.every(isReference)))
    throw strange(subject, "has references that are none");
  return body as unknown as SchemaBody;
}

function isReference(value: unknown): boolean {
  if (typeof value !== "object" || value === null) return false;
  const { name, subject, version } = value as Readonly<Record<string, unknown>>;
  return typeof name === "string" && typeof subject === "string" && Number.isSafeInteger(version);
}

function strange(subject: string, problem: string, cause?: unknown): MillraceError {
  const next = "check that the address is a schema registry's";
  return new MillraceError("SCHEMA_REGISTRY_UNREACHABLE", subject, `the answer ${problem}`, next, { cause });
}

/** Turns a refusal into an error; `subject` says what was asked for. */
function check(answer: RegistryAnswer, subject: string): RegistryAnswer {
  if (answer.status >= 200 && answer.status < 300) return answer;
  const said = answer.body.slice(0, 300);
  switch (answer.status) {
    case 401:
    case 403:
      throw new MillraceError(
        "SCHEMA_REGISTRY_REFUSED",
        subject,
        `the registry answered ${answer.status}`,
        "check its credentials and their rights",
      );
    case 404:
      throw new MillraceError(
        "SCHEMA_NOT_FOUND",
        subject,
        "the registry does not have it",
        "register it, or check the address and the subject",
      );
    case 409:
      throw new MillraceError(
        "SCHEMA_INCOMPATIBLE",
        subject,
        `the registry refuses the schema: ${said}`,
        "change the schema, or the subject's compatibility",
      );
    case 422:
      throw new MillraceError("SCHEMA_INVALID", subject, `the registry cannot use the schema: ${said}`, "correct the schema");
    default:
      throw new MillraceError(
        "SCHEMA_REGISTRY_UNREACHABLE",
        subject,
        `the registry answered ${answer.status}: ${said}`,
        "check the registry",
      );
  }
}

function subjectPath(subject: string): string {
  return `/subjects/${encodeURIComponent(subject)}`;
}

// The schemas that `body` refers to, depth first, each once.
function* loadReferences(body: SchemaBody, loaded: Map<string, { readonly name: string; readonly text: string }>): Conversation<void> {
  for (const { name, subject, version } of body.references ?? []) {
    if (loaded.has(name)) continue;
    if (loaded.size >= maxReferences) {
      throw new MillraceError(
        "SCHEMA_INVALID",
        `subject ${subject}`,
        `more than ${maxReferences} schemas are referred to`,
        "register schemas with fewer references",
      );
    }
    const what = `subject ${subject} version ${version}`;
    const inner = schemaIn(check(yield { method: "GET", path: `${subjectPath(subject)}/versions/${version}` }, what), what);
    // Marked before its own references are read, so that a cycle ends.
    loaded.set(name, { name, text: inner.schema });
    yield* loadReferences(inner, loaded);
    const entry = loaded.get(name);
    if (entry !== undefined) {
      loaded.delete(name);
      loaded.set(name, entry);
    }
  }
}

function* withReferences(id: number, body: SchemaBody): Conversation<RegisteredSchema> {
  const loaded = new Map<string, { readonly name: string; readonly text: string }>();
  yield* loadReferences(body, loaded);
  return { id, type: body.schemaType ?? "AVRO", text: body.schema, references: [...loaded.values()] };
}

/** The schema of an id. */
export function* schemaById(id: number): Conversation<RegisteredSchema> {
  const what = `schema ${id}`;
  const answer = yield { method: "GET", path: `/schemas/ids/${id}` };
  return yield* withReferences(id, schemaIn(check(answer, what), what));
}

/** The latest schema of a subject. */
export function* latestSchema(subject: string): Conversation<RegisteredSchema> {
  const what = `subject ${subject}`;
  const body = schemaIn(check(yield { method: "GET", path: `${subjectPath(subject)}/versions/latest` }, what), what);
  return yield* withReferences(body.id ?? -1, body);
}

function bodyOf(schema: NewSchema): string {
  return JSON.stringify({
    schema: schema.text,
    ...(schema.type === "AVRO" ? {} : { schemaType: schema.type }),
    ...(schema.references === undefined ? {} : { references: schema.references }),
  });
}

/** The id under which a subject has a schema; registers it first where it is new and `register` is set. Throws SCHEMA_NOT_FOUND where it is not. */
export function* idOfSchema(subject: string, schema: NewSchema, register: boolean): Conversation<number> {
  const what = `subject ${subject}`;
  const path = register ? `${subjectPath(subject)}/versions` : subjectPath(subject);
  const { id } = parseBody(check(yield { method: "POST", path, body: bodyOf(schema) }, what), what);
  if (typeof id !== "number" || !Number.isSafeInteger(id)) throw strange(what, "has no id");
  return id;
}
