// What is remembered of built objects never outlives what they were built from: after any change the answers are those of a look without memory.
import fc from "fast-check";
import type { UpgradeProgress } from "millrace/api";
import { expect, test } from "vitest";
import { outdated as outdatedOfApp } from "../embedded/desired.ts";
import type { AppObserved } from "../embedded/observed.ts";
import { newAppRevision } from "../embedded/revision.ts";
import { outdated as outdatedOfBatches } from "../microbatch/desired.ts";
import type { BatchObserved } from "../microbatch/observed.ts";
import { newBatchRevision } from "../microbatch/revision.ts";
import { typeOf } from "../ports/kind-table.ts";
import type { AnyObject, EmbeddedStreamApp, MicroBatchJob, StreamJob } from "../ports/objects.ts";
import { outdated as outdatedOfJob } from "../streamjob/desired.ts";
import type { Observed } from "../streamjob/observed.ts";
import { newRevision, revisionName } from "../streamjob/revision.ts";
import { Built } from "./built.ts";
import { builtAnnotation } from "./names.ts";
import type { OtherKind, OtherSeen } from "./others.ts";
import { revisionsOf } from "./target.ts";

/** What may be another at the next look. */
interface Situation {
  readonly uid: string;
  readonly generation: number;
  /** Of the spec. */
  readonly image: number;
  /** Of the revision that runs, which is another than the spec's during an upgrade and after a rollback. */
  readonly module: number;
  /** The run that an upgrade prepares; 0: there is none. */
  readonly to: number;
  readonly run: number;
  readonly parallelism: number;
  readonly standby: boolean;
  readonly since: number;
  readonly slots: number;
  readonly port: number;
}

const first: Situation = {
  uid: "a",
  generation: 1,
  image: 0,
  module: 0,
  to: 0,
  run: 7,
  parallelism: 1,
  standby: false,
  since: 0,
  slots: 1,
  port: 7070,
};
/** With the generation that the API server gives to a change of the spec. */
const inSpec = ["image", "slots", "port"] as const;
const small = fc.integer({ min: 1, max: 3 });
const change: fc.Arbitrary<Partial<Situation>> = fc.oneof(
  fc.constant({}),
  fc.record({ uid: fc.constantFrom("a", "b") }),
  fc.record({ image: small }),
  fc.record({ module: small }),
  fc.record({ to: small }),
  fc.record({ run: small }),
  fc.record({ parallelism: small }),
  fc.record({ standby: fc.boolean() }),
  fc.record({ since: small }),
  fc.record({ slots: small }),
  fc.record({ port: fc.integer({ min: 7071, max: 7073 }) }),
);
const next = (before: Situation, its: Partial<Situation>): Situation => {
  const after = { ...before, ...its };
  return inSpec.some((name) => after[name] !== before[name]) ? { ...after, generation: before.generation + 1 } : after;
};

const metadata = ({ uid, generation }: Situation): StreamJob["metadata"] => ({ name: "clicks", namespace: "jobs", uid, generation });
// A revision that was read is the same object at each look, as in the informers' copies.
const read = new Map<string, unknown>();
const steady = <T>(make: () => T): T => {
  const made = make();
  const key = JSON.stringify(made);
  if (!read.has(key)) read.set(key, made);
  return read.get(key) as T;
};
const storage = { checkpoints: { storage: "s3://a/b" } };
const nothing = { nowMs: 0, problem: undefined, workloads: [], executors: [], pods: [], others: [], savepoints: [], claims: [] };
const unasked = { kind: "unasked" } as const;
const more = { ...nothing, reports: new Map(), savepoint: unasked, topics: unasked, report: unasked, refused: undefined };

function streamJob(now: Situation, built: Built): Observed {
  const spec = { image: `app:${now.image}`, job: { module: "job.ts" }, taskManager: { slots: now.slots }, ...storage };
  const job: StreamJob = { ...typeOf("StreamJob"), metadata: metadata(now), spec };
  const { run, parallelism, standby } = now;
  const revision = steady(() => newRevision({ ...job, spec: { ...spec, job: { module: `job-${now.module}.ts` } } }, 1, ""));
  const active = { run, parallelism, standby, revision: revision.name, phase: "stable" as const, startedAt: "" };
  const upgrade: UpgradeProgress = {
    ...{ id: "u", kind: "upgrade", phase: "preparing", mode: "savepoint", startedAt: "", phaseStartedAt: "" },
    to: { run: 10 + now.to, revision: revision.name, parallelism, standby: true },
  };
  const status = { run, active: { ...active, restore: { sinceRun: now.since } }, ...(now.to === 0 ? {} : { upgrade }) };
  const seen: StreamJob = { ...job, status };
  return { ...more, job: seen, revisions: [revision], leaseMissing: false, terminating: false, defaultImage: undefined, built };
}

function app(now: Situation, built: Built): AppObserved {
  const spec: EmbeddedStreamApp["spec"] = {
    ...{ image: `app:${now.image}`, applicationId: "clicks", kafka: { brokers: ["kafka:9092"] }, topics: ["clicks"] },
    queries: { port: now.port },
  };
  const resource: EmbeddedStreamApp = { ...typeOf("EmbeddedStreamApp"), metadata: metadata(now), spec };
  const revision = steady(() => newAppRevision({ ...resource, spec: { ...spec, args: [`${now.module}`] } }, 1));
  const status = { currentRevision: revision.name, wantedReplicas: now.parallelism, restoreId: String(now.since) };
  return { ...more, app: { ...resource, status }, revisions: [revision], set: undefined, built };
}

function batches(now: Situation, built: Built): BatchObserved {
  const spec = { image: `app:${now.image}`, job: { module: "job.ts" }, executors: { max: 2, slots: now.slots }, ...storage };
  const job: MicroBatchJob = { ...typeOf("MicroBatchJob"), metadata: metadata(now), spec };
  const revision = steady(() => newBatchRevision({ ...job, spec: { ...spec, job: { module: `job-${now.module}.ts` } } }, 1, ""));
  const active = { run: now.run, revision: revision.name, restore: { sinceRun: now.since }, phase: "stable" as const, startedAt: "" };
  const due = { missedMs: undefined, nextMs: undefined };
  return { ...more, job: { ...job, status: { active } }, revisions: [revision], due, defaultImage: undefined, built };
}

interface Kind {
  readonly outdated: (now: Situation, built: Built, others?: readonly OtherSeen[]) => readonly AnyObject[];
}

const kinds: Readonly<Record<string, Kind>> = {
  StreamJob: { outdated: (now, built, others = []) => outdatedOfJob({ ...streamJob(now, built), others }) },
  EmbeddedStreamApp: { outdated: (now, built, others = []) => outdatedOfApp({ ...app(now, built), others }) },
  MicroBatchJob: { outdated: (now, built, others = []) => outdatedOfBatches({ ...batches(now, built), others }) },
};

/** As they are seen once they were applied. */
const seenAs = ({ kind, metadata: { name, annotations } }: AnyObject): OtherSeen => ({
  ...{ kind: kind as OtherKind, name, uid: name, run: undefined },
  builtFrom: annotations?.[builtAnnotation],
});

test.each(Object.entries(kinds))("%s: whatever changes, what is outdated is what a look without memory finds", (_name, { outdated }) => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (changes) => {
      const built = new Built();
      let now = first;
      let there: readonly OtherSeen[] = [];
      for (const its of [{}, ...changes]) {
        now = next(now, its);
        const found = outdated(now, built, there);
        expect(found).toEqual(outdated(now, new Built(), there));
        // Applied: at the next look only what has changed is outdated.
        const names = new Set(found.map(({ kind, metadata: { name } }) => `${kind} ${name}`));
        there = [...there.filter(({ kind, name }) => !names.has(`${kind} ${name}`)), ...found.map(seenAs)];
      }
    }),
    { numRuns: 50 },
  );
});

test.each(Object.entries(kinds))(
  "%s: an object that somebody changed or deleted is put right, nothing else having changed",
  (_name, { outdated }) => {
    const built = new Built();
    const all = outdated(first, built).map(seenAs);
    const atRest = outdated(first, built, all).filter(({ kind }) => kind === "Service" || kind === "ConfigMap");
    expect(atRest).toEqual([]);
    const [service, ...rest] = all.toSorted((a) => (a.kind === "Service" ? -1 : 1)) as [OtherSeen, ...OtherSeen[]];
    const wrong = outdated(first, built, [{ ...service, builtFrom: "something else" }, ...rest]);
    expect(wrong.map(({ metadata: { name } }) => name)).toContain(service.name);
    expect(outdated(first, built, rest)).toEqual(wrong);
  },
);

test("the name of the wanted revision follows the spec, and the uid when the resource was made again", () => {
  const built = new Built();
  const wanted = (now: Situation): string => {
    const seen = streamJob(now, built);
    return revisionsOf(seen.job, seen.job.status ?? {}, seen, revisionName).wanted;
  };
  const names = [first, next(first, { image: 1 }), { ...first, uid: "b", image: 2 }, { ...first, uid: "b", image: 2 }].map(wanted);
  expect(new Set(names).size).toBe(3);
  expect(names).toEqual(
    [first, next(first, { image: 1 }), { ...first, image: 2 }, { ...first, image: 2 }].map((now) =>
      revisionName("clicks", streamJob(now, built).job.spec),
    ),
  );
});

test("what was built from the same is not built again, and of each only the last is kept", () => {
  const built = new Built();
  let times = 0;
  const build = (from: readonly unknown[]): number => built.of("objects", from, () => ++times);
  const part = {};
  expect([build(["a", part]), build(["a", part])]).toEqual([1, 1]);
  // Equal is not the same: an object that was read again may have changed.
  expect([build(["a", {}]), build(["a"]), build(["a", part])]).toEqual([2, 3, 4]);
});
