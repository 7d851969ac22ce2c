// A watch's body: one JSON event a line, however the lines are cut by the network.
import { ClusterError } from "../ports/cluster-error.ts";
import type { WatchEvent } from "../ports/cluster.ts";
import type { AnyObject } from "../ports/objects.ts";
import { apiError } from "./api-errors.ts";

interface WireEvent {
  readonly type: string;
  readonly object: AnyObject & { readonly code?: number };
}

/** More than an object of a cluster can have. */
const maxLineBytes = 16 * 1024 * 1024;

/** Resolves when the body ends; rejects with ClusterError when the server says so in an event. */
export async function readWatch(
  kind: string,
  body: AsyncIterable<Uint8Array>,
  sink: (event: WatchEvent<AnyObject>) => void,
): Promise<void> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of body) {
    rest += decoder.decode(chunk, { stream: true });
    if (rest.length > maxLineBytes) throw new ClusterError("unavailable", kind, "an event of a watch is too long");
    const lines = rest.split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) if (line !== "") sink(eventOf(kind, line));
  }
}

function eventOf(kind: string, line: string): WatchEvent<AnyObject> {
  const { type, object } = JSON.parse(line) as WireEvent;
  switch (type) {
    case "ADDED":
    case "MODIFIED":
    case "DELETED":
      return { type, object };
    case "BOOKMARK":
      return { type, resourceVersion: object.metadata.resourceVersion ?? "" };
    default:
      throw apiError(`watch ${kind}`, object.code ?? 500, JSON.stringify(object), null);
  }
}
