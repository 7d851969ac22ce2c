// What a request to an API server takes along: headers that say who asks, and the connections that all requests share.
import type { RequestOptions } from "node:https";
import { HttpMethod, type KubeConfig, RequestContext } from "@kubernetes/client-node";
import type { Dispatcher } from "undici";

export interface Access {
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined: the process's own. */
  readonly dispatcher: Dispatcher | undefined;
}

/** The TLS options of a connection: those with other ones need connections of their own. */
const identityFields = ["ca", "cert", "key", "pfx", "passphrase", "rejectUnauthorized", "servername"] as const;

export class ApiAccess {
  readonly #config: KubeConfig;
  #identity: string | undefined;
  #dispatcher: Dispatcher | undefined;

  constructor(config: KubeConfig) {
    this.#config = config;
  }

  /**
   * The client makes a dispatcher for each request, with a connection and a TLS handshake of its own, which costs the server and this process
   * more than the request does. One is kept, until a certificate or a key is another one.
   */
  async now(): Promise<Access> {
    const options: RequestOptions = {};
    await this.#config.applyToHTTPSOptions(options);
    const { headers = {}, auth } = options;
    const identity = JSON.stringify(identityFields.map((field) => textOf(options[field])));
    if (identity !== this.#identity) await this.#renew(identity);
    return {
      headers: { ...texts(headers), ...(typeof auth === "string" ? { Authorization: basic(auth) } : {}) },
      dispatcher: this.#dispatcher,
    };
  }

  async #renew(identity: string): Promise<void> {
    const context = new RequestContext(this.#config.getCurrentCluster()?.server ?? "", HttpMethod.GET);
    await this.#config.applySecurityAuthentication(context);
    // Somebody else may have been quicker.
    if (this.#identity === identity) return;
    const before = this.#dispatcher;
    this.#identity = identity;
    this.#dispatcher = context.getDispatcher() as unknown as Dispatcher | undefined;
    // What is under way over the old connections ends there; watches end by themselves.
    before?.close().catch(() => {});
  }
}

const textOf = (value: unknown): unknown => (Buffer.isBuffer(value) ? value.toString("latin1") : value);

const basic = (auth: string): string => `Basic ${Buffer.from(auth).toString("base64")}`;

const texts = (headers: NonNullable<RequestOptions["headers"]>): Readonly<Record<string, string>> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
