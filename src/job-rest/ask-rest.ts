// One request to the REST API of a job's process: bounded in time and size, with its token.
import { exchange } from "./exchange.ts";

export interface Answer {
  readonly status: number;
  readonly body: unknown;
}

const timeoutMs = 4_000;
const maxBodyBytes = 8 * 1024 * 1024;

/** Rejects when nobody answers; whatever is answered is an answer. */
export async function askRest(
  { url, token }: { readonly url: string; readonly token: string },
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const { status, text } = await exchange(`${url}${path}`, {
    method,
    headers: {
      ...(token === "" ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { "content-type": "application/json" }),
    },
    body: body === undefined ? undefined : JSON.stringify(body),
    timeoutMs,
    maxBytes: maxBodyBytes,
  });
  return { status, body: parse(text) };
}

function parse(text: string): unknown {
  try {
    return text === "" ? {} : (JSON.parse(text) as unknown);
  } catch {
    return { message: text.slice(0, 300) };
  }
}

export function unreachable(error: unknown): Answer {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
  return { status: 503, body: { message: cause instanceof Error ? cause.message : String(cause) } };
}

export function describe(answers: readonly Answer[]): string {
  const texts = answers.map(({ status, body }) =>
    `${status} ${String((body as { readonly message?: string } | null)?.message ?? "")}`.trim(),
  );
  return texts.length === 0 ? "nobody was asked" : [...new Set(texts)].join("; ");
}
