// One HTTP exchange with a JobManager. Not by fetch: it answers 421, which here means "another one leads", by asking the same server again, and
// then has no body left to send.
import { request } from "node:http";

export interface Exchange {
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | undefined;
  /** Until the answer has come whole. */
  readonly timeoutMs: number;
  /** A longer answer counts as none. */
  readonly maxBytes: number;
}

export function exchange(url: string, { method, headers, body, timeoutMs, maxBytes }: Exchange): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) };
    const asking = request(url, { method, headers: { ...headers, ...length }, signal }, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > maxBytes) asking.destroy(new Error(`the answer is longer than ${maxBytes} bytes`));
        else chunks.push(chunk);
      });
      response.once("error", reject);
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") }));
    });
    asking.once("error", (error) => reject(signal.aborted ? new Error(`no answer within ${timeoutMs} ms`) : error));
    asking.end(body);
  });
}
