// One connection to one broker: opened, logged in, and then requests in order with their answers and deadlines.
import { connect as connectPlain } from "node:net";
import type { Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Clock } from "../../../base/clock.ts";
import { messageOf } from "../../../base/errors.ts";
import type { KafkaApi } from "../wire/api.ts";
import { apiVersionsApi, saslAuthenticateApi, saslHandshakeApi } from "../wire/metadata-apis.ts";
import { ProtocolReader } from "../wire/protocol-reader.ts";
import { ProtocolWriter } from "../wire/protocol-writer.ts";
import type { BrokerAddress, ClientOptions } from "./client-options.ts";
import { FrameReceiver } from "./frames.ts";
import type { Frame, FramePool } from "./frames.ts";
import { KafkaProblem, throwOnCode } from "./kafka-problem.ts";
import { authenticate } from "./sasl.ts";

const maxFrameBytes = 256 * 1024 * 1024;
// A session is given up early, so that no request meets the moment at which the broker closes it.
const sessionShare = 0.85;

type AnyApi = Pick<KafkaApi<never, unknown>, "name" | "key" | "version" | "flexible">;

interface Waiting {
  readonly resolve: (frame: Frame) => void;
  readonly reject: (problem: KafkaProblem) => void;
  readonly cancelDeadline: () => void;
}

export class Connection {
  readonly #options: ClientOptions;
  readonly #name: string;
  readonly #clock: Clock;
  readonly #pool: FramePool;
  readonly #socket: Socket;
  readonly #waiting = new Map<number, Waiting>();
  readonly #versions = new Map<number, { readonly minVersion: number; readonly maxVersion: number }>();
  #correlationId = 0;
  #closed: KafkaProblem | undefined;
  #sessionEndsAtMs = Number.POSITIVE_INFINITY;

  private constructor(address: BrokerAddress, options: ClientOptions, clock: Clock, pool: FramePool) {
    this.#options = options;
    this.#name = `${address.host}:${address.port}`;
    this.#clock = clock;
    this.#pool = pool;
    const receiver = new FrameReceiver(pool, maxFrameBytes, (frame) => this.#answer(frame));
    const onread = {
      buffer: () => receiver.target(),
      callback: (bytes: number): boolean => {
        try {
          receiver.received(bytes);
        } catch (cause) {
          const hint = options.tls === undefined ? "; the listener may want TLS" : "";
          this.#fail(new KafkaProblem("network", `${this.#name} does not answer as a Kafka broker: ${messageOf(cause)}${hint}`, { cause }));
        }
        return true;
      },
    };
    const common = { host: address.host, port: address.port, noDelay: true, onread };
    this.#socket =
      options.tls === undefined ? connectPlain(common) : connectTls({ ...common, ...this.#serverName(address), ...options.tls });
    this.#socket.on("error", (cause) => this.#fail(new KafkaProblem("network", `${this.#name}: ${messageOf(cause)}`, { cause })));
    this.#socket.on("close", () => this.#fail(new KafkaProblem("network", `${this.#name} closed the connection`)));
  }

  #serverName(address: BrokerAddress): { readonly servername?: string } {
    // Certificates for bare addresses carry no server name to ask for.
    return /^[\d.]+$|:/.test(address.host) ? {} : { servername: address.host };
  }

  /** Connects and logs in. Rejects with a `KafkaProblem`. */
  static async open(address: BrokerAddress, options: ClientOptions, clock: Clock, pool: FramePool): Promise<Connection> {
    const connection = new Connection(address, options, clock, pool);
    try {
      await connection.#connected();
      await connection.#greet();
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  #connected(): Promise<void> {
    return new Promise((resolve, reject) => {
      const cancel = this.#clock.after(this.#options.connectTimeoutMs, () => {
        this.#fail(new KafkaProblem("network", `${this.#name} did not accept a connection within ${this.#options.connectTimeoutMs} ms`));
      });
      this.#socket.once(this.#options.tls === undefined ? "connect" : "secureConnect", () => {
        cancel();
        resolve();
      });
      this.#socket.once("close", () => {
        cancel();
        reject(this.#closed ?? new KafkaProblem("network", `${this.#name} closed the connection`));
      });
    });
  }

  async #greet(): Promise<void> {
    const versions = await this.send(apiVersionsApi, {});
    throwOnCode(versions.errorCode, "ApiVersions");
    for (const range of versions.ranges) this.#versions.set(range.key, range);
    const { sasl } = this.#options;
    if (sasl === undefined) return;
    const handshake = await this.send(saslHandshakeApi, { mechanism: sasl.mechanism });
    throwOnCode(handshake.errorCode, "SaslHandshake", `the broker offers ${handshake.mechanisms.join(", ")}`);
    await authenticate(sasl, async (token) => {
      const answer = await this.send(saslAuthenticateApi, { token });
      throwOnCode(answer.errorCode, "SaslAuthenticate", answer.errorMessage);
      if (answer.sessionLifetimeMs > 0) this.#sessionEndsAtMs = this.#clock.now() + answer.sessionLifetimeMs * sessionShare;
      return answer.token;
    });
  }

  /** False once it is closed, or its login is about to expire: then a new one has to be opened. */
  get usable(): boolean {
    return this.#closed === undefined && this.#clock.now() < this.#sessionEndsAtMs;
  }

  /** Sends a request, which the broker may keep for `extraWaitMs`, and decodes the answer. Rejects with a `KafkaProblem`. */
  async send<Request, Response>(api: KafkaApi<Request, Response>, request: Request, extraWaitMs = 0): Promise<Response> {
    const frame = await this.exchange(api, [encoded(api, request)], extraWaitMs);
    try {
      return api.decode(this.reader(api, frame));
    } catch (cause) {
      throw this.#misread(api, cause);
    } finally {
      this.#pool.give(frame.buffer);
    }
  }

  /**
   * Sends the pieces of a request's body, uncopied, and settles with the raw answer; the caller gives its buffer back to the
   * pool. `extraWaitMs` is what the broker was asked to wait.
   */
  exchange(api: AnyApi, pieces: readonly Uint8Array[], extraWaitMs: number): Promise<Frame> {
    const range = this.#versions.get(api.key);
    if (this.#versions.size > 0 && !(range !== undefined && range.minVersion <= api.version && range.maxVersion >= api.version)) {
      const has = range === undefined ? "does not have it" : `has v${range.minVersion} to v${range.maxVersion}`;
      return Promise.reject(new KafkaProblem("fatal", `${this.#name} lacks ${api.name} v${api.version}: it ${has}`, { kafkaCode: 35 }));
    }
    return new Promise((resolve, reject) => {
      if (this.#closed !== undefined) {
        reject(this.#closed);
        return;
      }
      this.#correlationId = (this.#correlationId + 1) & 0x7fffffff;
      const cancelDeadline = this.#clock.after(this.#options.requestTimeoutMs + extraWaitMs, () => {
        this.#fail(new KafkaProblem("network", `${this.#name} did not answer ${api.name} within ${this.#options.requestTimeoutMs} ms`));
      });
      this.#waiting.set(this.#correlationId, { resolve, reject, cancelDeadline });
      this.#write(api, pieces);
    });
  }

  #write(api: AnyApi, pieces: readonly Uint8Array[]): void {
    let bodyBytes = 0;
    for (const piece of pieces) bodyBytes += piece.length;
    const head = new ProtocolWriter(false);
    head.i32(0).i16(api.key).i16(api.version).i32(this.#correlationId).string(this.#options.clientId);
    if (api.flexible) head.i8(0);
    const bytes = head.view();
    bytes.writeInt32BE(bytes.length - 4 + bodyBytes, 0);
    this.#socket.cork();
    this.#socket.write(bytes);
    for (const piece of pieces) this.#socket.write(piece);
    this.#socket.uncork();
  }

  #answer(frame: Frame): void {
    const correlationId = frame.buffer.readInt32BE(0);
    const waiting = this.#waiting.get(correlationId);
    if (waiting === undefined) {
      this.#fail(new KafkaProblem("network", `${this.#name} answered a request that was not made`));
      return;
    }
    this.#waiting.delete(correlationId);
    waiting.cancelDeadline();
    waiting.resolve(frame);
  }

  /** A reader behind the head of an answer. */
  reader(api: AnyApi, frame: Frame): ProtocolReader {
    const reader = new ProtocolReader(frame.buffer, api.flexible, 4, frame.size);
    reader.tags();
    return reader;
  }

  #misread(api: AnyApi, cause: unknown): KafkaProblem {
    return new KafkaProblem("network", `the answer of ${this.#name} to ${api.name} is damaged: ${messageOf(cause)}`, { cause });
  }

  #fail(problem: KafkaProblem): void {
    if (this.#closed !== undefined) return;
    this.#closed = problem;
    this.#socket.destroy();
    for (const waiting of this.#waiting.values()) {
      waiting.cancelDeadline();
      waiting.reject(problem);
    }
    this.#waiting.clear();
  }

  /** Closes at once; what waits for an answer is rejected. */
  close(): void {
    this.#fail(new KafkaProblem("network", `the connection to ${this.#name} was closed here`));
  }
}

function encoded<Request>(api: KafkaApi<Request, unknown>, request: Request): Buffer {
  const writer = new ProtocolWriter(api.flexible);
  api.encode(writer, request);
  return writer.view();
}
