// A client of Confluent's schema registry API (also served by Karapace, Apicurio and Redpanda): schemas by id, ids by schema, both cached.
import { setTimeout as sleep } from "node:timers/promises";
import { MillraceError, messageOf } from "../../base/errors.ts";
import { integerOption, refuseUnknownOptions } from "../../base/options.ts";
import { type HttpOutcome, type HttpRequest, blockingFetch } from "./blocking-fetch.ts";
import {
  type Conversation,
  type NewSchema,
  type RegisteredSchema,
  type RegistryAnswer,
  type RegistryRequest,
  idOfSchema,
  latestSchema,
  schemaById,
} from "./registry-requests.ts";

export interface SchemaRegistryOptions {
  /** `http://registry:8081`; of several, the next is tried when one does not answer. */
  readonly url: string | readonly string[];
  readonly basicAuth?: { readonly username: string; readonly password: string };
  readonly bearerToken?: string;
  /** For one request, ms. Default 10,000. */
  readonly timeoutMs?: number;
}

/** Attempts at one request, over all addresses. */
const maxAttempts = 4;
const firstPauseMs = 100;
/** Ids and schemas that are kept; a registry gives small numbers of them. */
const maxCached = 10_000;

export class SchemaRegistry {
  readonly #urls: readonly string[];
  readonly #headers: Readonly<Record<string, string>>;
  readonly #timeoutMs: number;
  readonly #byId = new Map<number, RegisteredSchema>();
  readonly #ids = new Map<string, number>();

  constructor(options: SchemaRegistryOptions) {
    refuseUnknownOptions("schema registry", options, ["url", "basicAuth", "bearerToken", "timeoutMs"]);
    const urls = typeof options.url === "string" ? options.url.split(",") : options.url;
    const parsed = urls.map((url) => parseUrl(url.trim()));
    this.#urls = parsed.map(({ href }) => href);
    const fromUrl = parsed.find(({ credentials }) => credentials !== undefined)?.credentials;
    const basic = options.basicAuth === undefined ? fromUrl : `${options.basicAuth.username}:${options.basicAuth.password}`;
    this.#headers = {
      accept: "application/vnd.schemaregistry.v1+json, application/json",
      "content-type": "application/vnd.schemaregistry.v1+json",
      ...(options.bearerToken !== undefined
        ? { authorization: `Bearer ${options.bearerToken}` }
        : basic === undefined
          ? {}
          : { authorization: `Basic ${Buffer.from(basic).toString("base64")}` }),
    };
    this.#timeoutMs = integerOption("schema registry", "timeoutMs", options.timeoutMs, 10_000, 1, 600_000);
  }

  /** The registry's addresses, without credentials: what a plan prints. */
  get address(): string {
    return this.#urls.join(",");
  }

  /** The schema of an id; throws SCHEMA_NOT_FOUND. */
  async schema(id: number): Promise<RegisteredSchema> {
    return this.#byId.get(id) ?? this.#keep(await this.#talk(schemaById(id)));
  }

  /** As `schema`, for a thread that cannot await: waits where the id is new. */
  schemaNow(id: number): RegisteredSchema {
    return this.#byId.get(id) ?? this.#keep(this.#talkBlocking(schemaById(id)));
  }

  /** The latest schema of a subject, never cached; throws SCHEMA_NOT_FOUND. */
  async latest(subject: string): Promise<RegisteredSchema> {
    return this.#keep(await this.#talk(latestSchema(subject)));
  }

  /** The id of a schema within a subject. With `register` it is added where it is new, else SCHEMA_NOT_FOUND is thrown. */
  async idOf(subject: string, schema: NewSchema, register: boolean): Promise<number> {
    const key = JSON.stringify([subject, schema]);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    const id = await this.#talk(idOfSchema(subject, schema, register));
    if (this.#ids.size < maxCached) this.#ids.set(key, id);
    return id;
  }

  #keep(schema: RegisteredSchema): RegisteredSchema {
    if (schema.id >= 0 && this.#byId.size < maxCached) this.#byId.set(schema.id, schema);
    return schema;
  }

  #request(attempt: number, { method, path, body }: RegistryRequest): HttpRequest {
    const base = this.#urls[attempt % this.#urls.length] as string;
    return { url: base + path, method, headers: this.#headers, body, timeoutMs: this.#timeoutMs };
  }

  async #talk<T>(conversation: Conversation<T>): Promise<T> {
    let step = conversation.next();
    while (step.done !== true) {
      let answer: RegistryAnswer | undefined;
      for (let attempt = 0; answer === undefined; attempt++) {
        const outcome = await fetchOutcome(this.#request(attempt, step.value));
        answer = this.#accept(outcome, attempt);
        if (answer === undefined) await sleep(firstPauseMs * 2 ** attempt, undefined, { ref: false });
      }
      step = conversation.next(answer);
    }
    return step.value;
  }

  #talkBlocking<T>(conversation: Conversation<T>): T {
    let step = conversation.next();
    while (step.done !== true) {
      let answer: RegistryAnswer | undefined;
      for (let attempt = 0; answer === undefined; attempt++) {
        answer = this.#accept(blockingFetch(this.#request(attempt, step.value)), attempt);
        if (answer === undefined) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, firstPauseMs * 2 ** attempt);
      }
      step = conversation.next(answer);
    }
    return step.value;
  }

  // Undefined where another attempt is worth it; the last failure is thrown.
  #accept(outcome: HttpOutcome, attempt: number): RegistryAnswer | undefined {
    const passing = "failure" in outcome || outcome.status >= 500 || outcome.status === 429 || outcome.status === 408;
    if (!passing) return outcome;
    if (attempt + 1 < maxAttempts) return undefined;
    if (!("failure" in outcome)) return outcome;
    throw new MillraceError(
      "SCHEMA_REGISTRY_UNREACHABLE",
      `schema registry ${this.address}`,
      outcome.failure,
      "check the address and that the registry runs",
    );
  }
}

function parseUrl(url: string): { readonly href: string; readonly credentials: string | undefined } {
  if (!/^https?:/i.test(url) || !URL.canParse(url))
    throw new MillraceError("OPTION_INVALID", "option registry.url", `"${url}" is not an address`, "give one such as http://registry:8081");
  const parsed = new URL(url);
  const credentials = parsed.username === "" ? undefined : `${decodeURIComponent(parsed.username)}:${decodeURIComponent(parsed.password)}`;
  parsed.username = "";
  parsed.password = "";
  return { href: parsed.href.replace(/\/+$/, ""), credentials };
}

async function fetchOutcome({ url, method, headers, body, timeoutMs }: HttpRequest): Promise<HttpOutcome> {
  try {
    const response = await fetch(url, { method, headers, signal: AbortSignal.timeout(timeoutMs), ...(body === undefined ? {} : { body }) });
    return { status: response.status, body: await response.text() };
  } catch (error) {
    return { failure: messageOf((error as { cause?: unknown }).cause ?? error) };
  }
}
