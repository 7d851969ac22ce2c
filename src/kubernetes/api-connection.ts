// Requests to an API server: address, certificates and credentials come from the Node client, the rest is plain HTTP.
import { KubeConfig } from "@kubernetes/client-node";
import { fetch, type Response } from "undici";
import { ClusterError } from "../ports/cluster-error.ts";
import { ApiAccess } from "./api-access.ts";
import { apiError } from "./api-errors.ts";

export interface ApiRequest {
  readonly verb: string;
  /** For error messages. */
  readonly subject: string;
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Told of every request: verb, kind and result. */
export type RequestListener = (verb: string, kind: string, result: string) => void;

export class ApiConnection {
  readonly #config: KubeConfig;
  readonly #access: ApiAccess;
  readonly #listener: RequestListener;

  /** With `context` undefined: the service account of the pod, or KUBECONFIG with its current context. */
  constructor(options: {
    readonly kubeconfig?: string | undefined;
    readonly context?: string | undefined;
    readonly onRequest: RequestListener;
  }) {
    this.#config = new KubeConfig();
    if (options.kubeconfig === undefined) this.#config.loadFromDefault();
    else this.#config.loadFromFile(options.kubeconfig);
    if (options.context !== undefined) this.#config.setCurrentContext(options.context);
    this.#access = new ApiAccess(this.#config);
    this.#listener = options.onRequest;
  }

  get server(): string {
    return this.#config.getCurrentCluster()?.server ?? "";
  }

  /** The parsed answer; rejects with ClusterError. The time limit holds until it has come whole. */
  json<T>(request: ApiRequest): Promise<T> {
    return this.#exchange(request, async (response) => (await response.json()) as T);
  }

  /** The body of an answer that has no end; rejects with ClusterError. The time limit holds until its head has come. */
  stream(request: ApiRequest): Promise<AsyncIterable<Uint8Array>> {
    return this.#exchange(request, (response) => Promise.resolve((response.body ?? []) as AsyncIterable<Uint8Array>));
  }

  async #exchange<T>(request: ApiRequest, read: (response: Response) => Promise<T>): Promise<T> {
    const { subject, verb, timeoutMs } = request;
    const kind = subject.split(" ")[0] ?? subject;
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
    let result = "unavailable";
    try {
      const response = await this.#fetch(
        request,
        request.signal === undefined ? timeout.signal : AbortSignal.any([request.signal, timeout.signal]),
      );
      if (!response.ok) throw apiError(subject, response.status, await response.text(), response.headers.get("retry-after"));
      const answer = await read(response);
      result = "ok";
      return answer;
    } catch (error) {
      if (error instanceof ClusterError) {
        result = error.reason;
        throw error;
      }
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw new ClusterError("unavailable", subject, cause instanceof Error ? cause.message : String(cause), { cause: error });
    } finally {
      clearTimeout(timer);
      this.#listener(verb, kind, result);
    }
  }

  async #fetch({ method, path, query = {}, body, contentType = "application/json" }: ApiRequest, signal: AbortSignal): Promise<Response> {
    const url = new URL(`${this.server}${path}`);
    for (const [name, value] of Object.entries(query)) if (value !== "") url.searchParams.set(name, value);
    const { headers, dispatcher } = await this.#access.now();
    return fetch(url, {
      method,
      headers: { ...headers, accept: "application/json", ...(body === undefined ? {} : { "content-type": contentType }) },
      signal,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      ...(dispatcher === undefined ? {} : { dispatcher }),
    });
  }
}
