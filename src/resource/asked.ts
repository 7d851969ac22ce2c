// What the pods of a resource were asked, and what came of it. Nothing that a pod answers, or does not, may stop the reconciling of pods.
import { isClusterError } from "../ports/cluster-error.ts";
import { messageOf } from "../ports/machine.ts";
import type { Secret } from "../ports/objects.ts";

export type Asked<T> =
  /** Nobody asked: nothing is in progress, and it is not time to look. */
  | { readonly kind: "unasked" }
  | { readonly kind: "unreachable"; readonly reason: string }
  | { readonly kind: "answer"; readonly answer: T };

export const unasked = { kind: "unasked" } as const;

export const nobody = (reason: string): { readonly kind: "unreachable"; readonly reason: string } => ({ kind: "unreachable", reason });

export async function asking<T>(request: () => Promise<T>): Promise<Asked<T>> {
  try {
    return { kind: "answer", answer: await request() };
  } catch (error) {
    // What the API server says is not the pod's answer.
    if (isClusterError(error)) throw error;
    return nobody(messageOf(error));
  }
}

export function answerOf<T>(asked: Asked<T> | undefined): T | undefined {
  return asked?.kind === "answer" ? asked.answer : undefined;
}

/** A pod's address as the host of a URL. */
export const hostOf = (ip: string): string => (ip.includes(":") ? `[${ip}]` : ip);

/** What pods take as proof that it is the operator who asks. */
export const tokenIn = (secret: Secret | undefined): string => Buffer.from(secret?.data?.["token"] ?? "", "base64").toString("utf8");
