// The pods of an app: the user's own image under names that stay, so that a pod that comes back has its tasks and its volume again.
import type { EmbeddedStreamAppSpec } from "millrace/api";
import { typeOf } from "../../ports/kind-table.ts";
import type { EmbeddedStreamApp, StatefulSet } from "../../ports/objects.ts";
import { ownerOf } from "../../streamjob/build/owner.ts";
import { allowedPart, resourcesOf, restrictedContainer, restrictedPod, type Variable } from "../../streamjob/build/pod-template.ts";
import { strategicMerge } from "../../streamjob/build/strategic-merge.ts";
import { builtAnnotation, digest } from "../../resource/names.ts";
import { canonical } from "../../streamjob/revision.ts";
import { appLabels, appSelector, appSetName, appTokenName, keyOfApp, revisionLabel } from "../names.ts";
import type { AppRevision } from "../revision.ts";

export const appPorts = { rest: 8081 } as const;
const stateFolder = "/var/lib/millrace";

export interface AppPlan {
  readonly app: EmbeddedStreamApp;
  readonly revision: AppRevision;
  readonly replicas: number;
  /** Pods with a lower ordinal keep what they run. */
  readonly partition: number;
  readonly restoredFrom: string | undefined;
  readonly restoreId: string | undefined;
}

/** Of the decisions, not of what this version of the operator makes from them: another version of the operator rolls no pods. */
export function builtFrom({ revision, partition, restoredFrom, restoreId, app }: AppPlan): string {
  const savepoints = app.spec.update?.savepointStorage;
  return digest(canonical({ revision: revision.name, partition, restoredFrom, restoreId, savepoints })).slice(0, 16);
}

export function statefulSet(plan: AppPlan): StatefulSet {
  const { app } = plan;
  const { name } = app.metadata;
  const { storage } = app.spec;
  const claim = {
    metadata: { name: "state", labels: appLabels(name) },
    spec: {
      accessModes: ["ReadWriteOnce"],
      resources: { requests: { storage: storage?.size } },
      ...(storage?.storageClassName === undefined ? {} : { storageClassName: storage.storageClassName }),
    },
  };
  return {
    ...typeOf("StatefulSet"),
    metadata: {
      name: appSetName(name),
      namespace: keyOfApp(app).namespace,
      labels: appLabels(name),
      annotations: { [builtAnnotation]: builtFrom(plan) },
      ownerReferences: [ownerOf(app)],
    },
    spec: {
      serviceName: appSetName(name),
      replicas: plan.replicas,
      revisionHistoryLimit: 1,
      // The operator waits for pods to be caught up; nobody need wait for them to be there.
      podManagementPolicy: "Parallel",
      selector: { matchLabels: appSelector(name) },
      updateStrategy: { type: "RollingUpdate", rollingUpdate: { partition: plan.partition } },
      template: podTemplate(plan),
      ...(storage === undefined ? {} : { volumeClaimTemplates: [claim] }),
    },
  };
}

function podTemplate(plan: AppPlan): object {
  const { app, revision } = plan;
  const { spec } = revision;
  const merged = strategicMerge(ownTemplate(plan), allowedPart(spec.podTemplate)) as {
    readonly metadata: { readonly labels: object };
    readonly spec: object;
  };
  // Selectors and the operator find pods by these: no template may change them.
  return {
    ...merged,
    metadata: {
      ...merged.metadata,
      labels: { ...merged.metadata.labels, ...appLabels(app.metadata.name), [revisionLabel]: revision.name },
    },
  };
}

function ownTemplate({ app, revision, restoredFrom, restoreId }: AppPlan): object {
  const { spec } = revision;
  const { tls } = spec.kafka ?? { tls: undefined };
  const queries = spec.queries?.enabled ?? true;
  return {
    metadata: { labels: {}, annotations: {} },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: 60,
      securityContext: restrictedPod,
      containers: [
        {
          name: "app",
          image: spec.image,
          ...(spec.command === undefined ? {} : { command: spec.command }),
          ...(spec.args === undefined ? {} : { args: spec.args }),
          env: environment(app, spec, restoredFrom, restoreId),
          ports: [
            { name: "rest", containerPort: appPorts.rest },
            ...(queries ? [{ name: "queries", containerPort: spec.queries?.port ?? 7070 }] : []),
          ],
          // Ready is caught up: a service that begins takes its time.
          livenessProbe: {
            httpGet: { path: "/healthz", port: "rest" },
            initialDelaySeconds: 30,
            periodSeconds: 10,
            timeoutSeconds: 5,
            failureThreshold: 6,
          },
          readinessProbe: { httpGet: { path: "/readyz", port: "rest" }, periodSeconds: 2, timeoutSeconds: 5, failureThreshold: 3 },
          resources: resourcesOf(spec.resources),
          securityContext: restrictedContainer,
          // Why a version fails is its last words.
          terminationMessagePolicy: "FallbackToLogsOnError",
          volumeMounts: [
            { name: "token", mountPath: "/var/run/secrets/millrace", readOnly: true },
            { name: "work", mountPath: "/tmp" },
            { name: "state", mountPath: stateFolder },
            ...(tls?.secret === undefined ? [] : [{ name: "kafka-tls", mountPath: "/var/run/secrets/kafka", readOnly: true }]),
          ],
        },
      ],
      volumes: [
        { name: "token", secret: { secretName: appTokenName(app.metadata.name), defaultMode: 0o440 } },
        { name: "work", emptyDir: {} },
        ...(app.spec.storage === undefined ? [{ name: "state", emptyDir: {} }] : []),
        ...(tls?.secret === undefined ? [] : [{ name: "kafka-tls", secret: { secretName: tls.secret, defaultMode: 0o440 } }]),
      ],
    },
  };
}

function environment(
  app: EmbeddedStreamApp,
  spec: Partial<EmbeddedStreamAppSpec>,
  restoredFrom: string | undefined,
  restoreId: string | undefined,
): readonly Variable[] {
  const { kafka, parameters = {} } = spec;
  const given = (name: string, value: string | number | undefined): readonly Variable[] =>
    value === undefined ? [] : [{ name, value: String(value) }];
  const secretKey = (name: string, key: string): Variable => ({ name, valueFrom: { secretKeyRef: { name: kafka?.sasl?.secret, key } } });
  return [
    ...given("MILLRACE_APPLICATION_ID", spec.applicationId),
    // The consumer group knows a pod by its name: one that comes back has its tasks again.
    { name: "MILLRACE_INSTANCE_ID", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } },
    ...given("MILLRACE_KAFKA_BROKERS", kafka?.brokers.join(",")),
    ...(kafka?.tls === undefined ? [] : given("MILLRACE_KAFKA_TLS", kafka.tls.secret === undefined ? "system" : "/var/run/secrets/kafka")),
    ...(kafka?.sasl === undefined
      ? []
      : [
          ...given("MILLRACE_KAFKA_SASL_MECHANISM", kafka.sasl.mechanism),
          ...[secretKey("MILLRACE_KAFKA_SASL_USERNAME", "username"), secretKey("MILLRACE_KAFKA_SASL_PASSWORD", "password")],
        ]),
    ...given("MILLRACE_DELIVERY", spec.guarantee ?? "exactly-once"),
    ...given("MILLRACE_STANDBYS", spec.standbys ?? 0),
    ...given("MILLRACE_STATE_DIRECTORY", stateFolder),
    ...given("MILLRACE_HTTP_HOST", "0.0.0.0"),
    ...given("MILLRACE_HTTP_PORT", appPorts.rest),
    // Where the other pods ask this one for what its stores hold: its name below the headless Service.
    ...given(
      "MILLRACE_HTTP_URL",
      `http://$(MILLRACE_INSTANCE_ID).${appSetName(app.metadata.name)}.${keyOfApp(app).namespace}.svc:${appPorts.rest}`,
    ),
    ...((spec.queries?.enabled ?? true) ? given("MILLRACE_QUERY_PORT", spec.queries?.port ?? 7070) : []),
    ...given("MILLRACE_TOKEN_FILE", "/var/run/secrets/millrace/token"),
    ...given("MILLRACE_TERMINATION_LOG", "/dev/termination-log"),
    ...given("MILLRACE_SAVEPOINT_STORAGE", app.spec.update?.savepointStorage),
    ...given("MILLRACE_FROM_SAVEPOINT", restoredFrom),
    ...given("MILLRACE_RESTORE_ID", restoredFrom === undefined ? undefined : restoreId),
    ...(Object.keys(parameters).length === 0 ? [] : given("MILLRACE_PARAMETERS", JSON.stringify(parameters))),
  ];
}
