// `kubectl millrace savepoint`, `rollback`, `suspend` and `resume`: what should be. Each changes a resource; the operator does the rest.
import { MillraceError } from "../../base/errors.ts";
import type { Kubectl } from "../kubectl.ts";
import { revisionsOf, savepoint, streamJob } from "../objects.ts";
import { judge, waitFor } from "../waiting.ts";

export interface ChangeOptions {
  readonly wait: boolean;
  readonly timeoutMs: number;
}

const patch = (kubectl: Kubectl, name: string, body: object): Promise<string> =>
  kubectl.run(["patch", "streamjobs.millrace.dev", name, "--type", "merge", "--patch", JSON.stringify(body)]);

/** Takes a savepoint and returns what to print. */
export async function takeSavepoint(kubectl: Kubectl, job: string, name: string, { wait, timeoutMs }: ChangeOptions): Promise<string> {
  const { metadata } = await streamJob(kubectl, job);
  const manifest = {
    apiVersion: "millrace.dev/v1alpha1",
    kind: "Savepoint",
    metadata: { name, namespace: metadata.namespace },
    spec: { job },
  };
  await kubectl.run(["create", "-f", "-"], { input: JSON.stringify(manifest) });
  if (!wait) return `savepoint ${name} is asked for; kubectl get savepoint ${name} says how far it is\n`;
  await waitFor(
    `savepoint ${name}`,
    "complete",
    async () => {
      const { status } = await savepoint(kubectl, name);
      const now = `${status?.phase ?? "not seen by an operator yet"}${status?.error === undefined ? "" : `, ${status.error}`}`;
      return { done: status?.phase === "Completed", now, hopeless: status?.phase === "Failed" };
    },
    timeoutMs,
  );
  const { status } = await savepoint(kubectl, name);
  return `savepoint ${name}: ${status?.location ?? ""}\n`;
}

/** Goes back to a revision: by its name or number, or without either to the newest one that does not run. */
export async function rollBack(
  kubectl: Kubectl,
  name: string,
  to: string | undefined,
  { wait, timeoutMs }: ChangeOptions,
): Promise<string> {
  const job = await streamJob(kubectl, name);
  const revisions = await revisionsOf(kubectl, name);
  const current = job.status?.currentRevision;
  const isWanted = (revision: (typeof revisions)[number]): boolean =>
    to === undefined ? revision.metadata.name !== current : revision.metadata.name === to || String(revision.revision) === to;
  const target = revisions.find(isWanted);
  if (target === undefined) {
    const known = revisions.map((one) => `${one.revision} (${one.metadata.name})`).join(", ") || "none";
    throw new MillraceError(
      "REVISION_UNKNOWN",
      name,
      `there is no revision ${to ?? "but the one that runs"}; there are: ${known}`,
      "name one of them with --to",
    );
  }
  if (target.metadata.name === current) {
    throw new MillraceError("REVISION_UNKNOWN", name, `revision ${target.metadata.name} runs already`, "name another one with --to");
  }
  await patch(kubectl, name, { metadata: { annotations: { "millrace.dev/rollback-to": target.metadata.name } } });
  if (!wait) return `${name} is asked to go back to revision ${target.metadata.name}\n`;
  await waitFor(
    name,
    `back at revision ${target.metadata.name}`,
    async () => {
      const now = await streamJob(kubectl, name);
      const judged = judge(now, "ready");
      return { ...judged, done: judged.done && now.status?.currentRevision === target.metadata.name };
    },
    timeoutMs,
  );
  return `${name} runs revision ${target.metadata.name}\n`;
}

export async function setSuspended(kubectl: Kubectl, name: string, suspend: boolean, { wait, timeoutMs }: ChangeOptions): Promise<string> {
  await patch(kubectl, name, { spec: { suspend } });
  const wanted = suspend ? "suspended" : "ready";
  if (!wait) return `${name} is asked to be ${wanted}\n`;
  await waitFor(name, wanted, async () => judge(await streamJob(kubectl, name), wanted), timeoutMs);
  return `${name} is ${wanted}\n`;
}
