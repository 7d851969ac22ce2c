// Reads everything that a decision about an EmbeddedStreamApp may rest on. Never changes anything but asks, by its id, for the savepoint that is due.
import type { AppAddress, AppClient, AppReport, TopicAccess, TopicClient, TopicReport } from "../ports/app-client.ts";
import { restPortAnnotation, type SavepointReport } from "../ports/job-client.ts";
import { messageOf } from "../ports/machine.ts";
import type { EmbeddedStreamApp, Pod, Secret, StatefulSet } from "../ports/objects.ts";
import { type Asked, asking, hostOf, nobody, tokenIn, unasked } from "../resource/asked.ts";
import type { Reader } from "../resource/reader.ts";
import type { Look } from "../resource/reconciler.ts";
import { othersOf } from "../resource/others.ts";
import type { ObjectKey } from "../ports/cluster.ts";
import { builtAnnotation } from "../resource/names.ts";
import { appPorts } from "./build/stateful-set.ts";
import { stoppedWithOf } from "./last-words.ts";
import { appTokenName, keyOfApp, ordinalOf, revisionLabel } from "./names.ts";
import type { AppObserved, AppPodSeen, SetSeen } from "./observed.ts";
import { appRevisionOf } from "./revision.ts";
import { appProblemOf } from "./settings.ts";

const otherKinds = ["Service", "Secret", "PodDisruptionBudget"] as const;
const noPod = nobody("no pod runs");

export interface AppObserveParts extends Look {
  /** Without a cache between: of Secrets that are not the operator's. */
  readonly secret: (key: ObjectKey) => Promise<Secret | undefined>;
  readonly client: AppClient;
  readonly topics: TopicClient;
}

export async function observe(app: EmbeddedStreamApp, parts: AppObserveParts): Promise<AppObserved> {
  const { live, cached, nowMs } = parts;
  const key = keyOfApp(app);
  const [sets, pods, revisions, claims, others] = await Promise.all([
    live.owned("StatefulSet", key),
    live.owned("Pod", key),
    cached.owned("ControllerRevision", key),
    // There are no copies of them; a glance sees none, and whoever acts on that looks again.
    app.metadata.deletionTimestamp === undefined || live === cached ? [] : live.owned("PersistentVolumeClaim", key),
    othersOf(cached, otherKinds, key),
  ]);
  const seenPods = pods.map((pod) => podSeen(pod, app.metadata.name)).sort((a, b) => a.ordinal - b.ordinal);
  const { upgrade } = app.status ?? {};
  const asks = parts.ask || upgrade !== undefined;
  const token = asks ? await tokenOf(app, cached) : "";
  const address = (pod: AppPodSeen): AppAddress | undefined => addressOf(app, pod, token);
  const [reports, topics, savepoint] = await Promise.all([
    asks ? reportsOf(seenPods, address, parts.client) : new Map<string, Asked<AppReport>>(),
    parts.ask && app.metadata.deletionTimestamp === undefined ? topicsOf(app, parts) : unasked,
    upgrade?.phase === "savepointing" ? savepointOf(upgrade.id, seenPods, address, parts.client) : unasked,
  ]);
  return {
    nowMs,
    app,
    problem: appProblemOf(app.spec),
    revisions: revisions.map(appRevisionOf).sort((a, b) => a.number - b.number),
    set: sets.map(setSeen)[0],
    pods: seenPods,
    others,
    claims: claims.map(({ metadata }) => ({ name: metadata.name, uid: metadata.uid ?? "" })),
    reports,
    topics,
    savepoint,
    built: parts.built,
  };
}

async function reportsOf(
  pods: readonly AppPodSeen[],
  addressOfPod: (pod: AppPodSeen) => AppAddress | undefined,
  client: AppClient,
): Promise<ReadonlyMap<string, Asked<AppReport>>> {
  const asked = pods.map(async (pod) => {
    const address = addressOfPod(pod);
    return [pod.name, address === undefined ? noPod : await asking(() => client.report(address))] as const;
  });
  return new Map(await Promise.all(asked));
}

// The same id asked again says what became of it, at any pod; a pod that has ended with it leaves the answer to the others.
async function savepointOf(
  id: string,
  pods: readonly AppPodSeen[],
  addressOfPod: (pod: AppPodSeen) => AppAddress | undefined,
  client: AppClient,
): Promise<Asked<SavepointReport>> {
  let last: Asked<SavepointReport> = noPod;
  for (const pod of pods) {
    const address = addressOfPod(pod);
    if (address === undefined) continue;
    last = await asking(() => client.stopWithSavepoint(address, id));
    if (last.kind === "answer") return last;
  }
  return last;
}

async function topicsOf(app: EmbeddedStreamApp, parts: AppObserveParts): Promise<Asked<TopicReport>> {
  const { namespace } = keyOfApp(app);
  const { kafka, topics, applicationId } = app.spec;
  return asking(async () => {
    const text = async (name: string | undefined, field: string): Promise<string | undefined> => {
      const value = name === undefined ? undefined : (await secretOf(parts, { namespace, name }))?.data?.[field];
      return value === undefined ? undefined : Buffer.from(value, "base64").toString("utf8");
    };
    const { sasl, tls } = kafka;
    const files = {
      ca: await text(tls?.secret, "ca.crt"),
      cert: await text(tls?.secret, "tls.crt"),
      key: await text(tls?.secret, "tls.key"),
    };
    const access: TopicAccess = {
      namespace,
      brokers: kafka.brokers,
      tls:
        tls === undefined
          ? undefined
          : (Object.fromEntries(Object.entries(files).filter(([, value]) => value !== undefined)) as TopicAccess["tls"]),
      sasl:
        sasl === undefined
          ? undefined
          : {
              mechanism: sasl.mechanism,
              username: (await text(sasl.secret, "username")) ?? "",
              password: (await text(sasl.secret, "password")) ?? "",
            },
    };
    return parts.topics.look(access, applicationId, topics);
  });
}

// Whoever may not read it does not know the topics; pods are reconciled all the same.
function secretOf(parts: AppObserveParts, key: ObjectKey): Promise<Secret | undefined> {
  return parts.secret(key).catch((cause: unknown) => {
    throw new Error(messageOf(cause), { cause });
  });
}

async function tokenOf(app: EmbeddedStreamApp, cached: Reader): Promise<string> {
  const { namespace, name } = keyOfApp(app);
  const secret = await cached.get("Secret", { namespace, name: appTokenName(name) });
  return tokenIn(secret);
}

function addressOf(app: EmbeddedStreamApp, pod: AppPodSeen, token: string): AppAddress | undefined {
  if (!pod.running || pod.ip === undefined) return undefined;
  const { namespace, name } = keyOfApp(app);
  return { app: `${namespace}/${name}`, pod: pod.name, url: `http://${hostOf(pod.ip)}:${pod.restPort}`, token };
}

const setSeen = ({ metadata, spec }: StatefulSet): SetSeen => ({
  uid: metadata.uid ?? "",
  replicas: (spec as { readonly replicas?: number }).replicas ?? 1,
  builtFrom: metadata.annotations?.[builtAnnotation],
  deleting: metadata.deletionTimestamp !== undefined,
});

function podSeen({ metadata, status }: Pod, app: string): AppPodSeen {
  const container = status?.containerStatuses?.find(({ name }) => name === "app") ?? status?.containerStatuses?.[0];
  const waiting = container?.state?.waiting;
  const ended = container?.state?.terminated ?? container?.lastState?.terminated;
  return {
    name: metadata.name,
    uid: metadata.uid ?? "",
    ordinal: ordinalOf(metadata.name, app),
    revision: metadata.labels?.[revisionLabel] ?? "",
    ready: status?.conditions?.some(({ type, status: value }) => type === "Ready" && value === "True") === true,
    running: status?.phase === "Running" && waiting === undefined,
    deleting: metadata.deletionTimestamp !== undefined,
    restarts: container?.restartCount ?? 0,
    waiting: waiting?.reason,
    message: ended?.message ?? waiting?.message,
    stopped: stoppedWithOf(ended?.message),
    ip: status?.podIP,
    restPort: Number(metadata.annotations?.[restPortAnnotation] ?? appPorts.rest),
  };
}
