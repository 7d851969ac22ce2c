// What a pod's container is told, as a command of this machine: the same component, with ports and folders of its own.
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ownerOfObject } from "../controller/owner-labels.ts";
import { podView } from "../memory/kubelet.ts";
import type { Pod } from "../ports/objects.ts";

export const host = "127.0.0.1";

export interface PodPlace {
  /** The pod's folder. */
  readonly home: string;
  /** Where the JobManagers of a run choose their leader. */
  readonly leadership: string;
  readonly restPort: number;
  /** What stays when the pod goes: its volume. */
  readonly state: string;
}

/** The words of the command; `millrace` starts the pods of jobs, and a service its own program. */
export function commandOf(pod: Pod, millrace: readonly string[], place: PodPlace): readonly string[] {
  const { command, arguments: given } = podView(pod);
  return isService(pod) ? [...command, ...given] : [...millrace, ...argumentsOf(pod, place)];
}

const isService = (pod: Pod): boolean => ownerOfObject(pod)?.kind === "EmbeddedStreamApp";

function argumentsOf(pod: Pod, { home, leadership, restPort }: PodPlace): readonly string[] {
  const component = podView(pod).arguments[0] ?? "";
  const common = [component, "-f", join(home, "job.yaml"), "--host", host, "--port", String(restPort), "--log", "json"];
  const cluster = ["--leadership", "storage", "--leadership-dir", `file://${leadership}`];
  switch (component) {
    case "jobmanager":
      return [...common, ...cluster, "--rpc-port", "0"];
    case "taskmanager":
      return [...common, ...cluster, "--exchange-port", "0", "--work-dir", join(home, "work")];
    default:
      return common;
  }
}

const lastWords = (home: string): string => join(home, "termination-log");

// Without the port for queries: processes of one machine would all ask for the same, and that of their HTTP answers them too.
export function variablesOf(pod: Pod, { home, restPort, state }: PodPlace): Readonly<Record<string, string>> {
  const { MILLRACE_LEASE: _lease, MILLRACE_JOBMANAGERS: _managers, MILLRACE_QUERY_PORT: _queries, ...variables } = podView(pod).environment;
  return {
    ...variables,
    MILLRACE_POD_NAME: pod.metadata.name,
    MILLRACE_POD_IP: host,
    MILLRACE_TOKEN_FILE: join(home, "token"),
    ...(isService(pod)
      ? {
          MILLRACE_INSTANCE_ID: pod.metadata.name,
          MILLRACE_HTTP_HOST: host,
          MILLRACE_HTTP_PORT: String(restPort),
          MILLRACE_STATE_DIRECTORY: state,
        }
      : {}),
    ...(variables["MILLRACE_TERMINATION_LOG"] === undefined ? {} : { MILLRACE_TERMINATION_LOG: lastWords(home) }),
  };
}

/** What the process left behind about its end; undefined for one that leaves nothing. */
export async function wordsOf(home: string): Promise<string | undefined> {
  return readFile(lastWords(home), "utf8").catch(() => undefined);
}
