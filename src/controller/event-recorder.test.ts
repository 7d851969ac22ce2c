// Events: counted instead of repeated, bounded, and never in the way of the work.
import { expect, test } from "vitest";
import { ClusterError } from "../ports/cluster-error.ts";
import type { Cluster } from "../ports/cluster.ts";
import { typeOf } from "../ports/kind-table.ts";
import type { LogFields } from "../ports/machine.ts";
import type { AnyObject, ConfigMap, KubeEvent } from "../ports/objects.ts";
import { VirtualTime } from "../simulation/virtual-time.ts";
import { EventRecorder, type EventNote } from "./event-recorder.ts";

const about: ConfigMap = { ...typeOf("ConfigMap"), metadata: { name: "clicks", namespace: "jobs", uid: "u1" } };
const note = (message: string, reason = "Deployed"): EventNote => ({ type: "Normal", reason, message });

function open(apply: (event: KubeEvent) => Promise<void> = () => Promise.resolve()) {
  const time = new VirtualTime();
  const written: KubeEvent[] = [];
  const warnings: LogFields[] = [];
  const cluster = {
    apply: async (object: AnyObject) => {
      await apply(object as KubeEvent);
      written.push(object as KubeEvent);
      return object;
    },
  } as unknown as Cluster;
  const log = { debug() {}, info() {}, error() {}, warn: (_message: string, fields: LogFields) => void warnings.push(fields) };
  const recorder = new EventRecorder(cluster, { clock: time, random: () => 0.5, secret: () => "", log }, "operator-0");
  return { time, written, warnings, recorder };
}

test("an event names its object, its reason and who reports it", async () => {
  const { written, recorder, time } = open();
  recorder.record(about, note("revision 1 runs"));
  await recorder.flush();
  expect(written).toHaveLength(1);
  expect(written[0]).toMatchObject({
    kind: "Event",
    metadata: { namespace: "jobs" },
    involvedObject: { kind: "ConfigMap", name: "clicks", namespace: "jobs", uid: "u1" },
    type: "Normal",
    reason: "Deployed",
    message: "revision 1 runs",
    count: 1,
    lastTimestamp: new Date(time.now()).toISOString().replace(/\.\d+Z$/, "Z"),
    reportingInstance: "operator-0",
  });
});

test("the same event within a minute is counted, and written again under its name when the minute is over", async () => {
  const { written, recorder, time } = open();
  for (let i = 0; i < 5; i++) recorder.record(about, note("same"));
  await recorder.flush();
  expect(written).toHaveLength(1);
  await time.pass(60_000);
  recorder.record(about, note("same"));
  await recorder.flush();
  expect(written.map(({ count, metadata }) => [count, metadata.name])).toEqual([
    [1, written[0]?.metadata.name],
    [6, written[0]?.metadata.name],
  ]);
  expect(written[1]?.firstTimestamp).toBe(written[0]?.firstTimestamp);
});

test("another message, another reason and another object are other events", async () => {
  const { written, recorder } = open();
  recorder.record(about, note("a"));
  recorder.record(about, note("b"));
  recorder.record(about, note("a", "Failed"));
  recorder.record({ ...about, metadata: { ...about.metadata, uid: "u2" } }, note("a"));
  await recorder.flush();
  expect(new Set(written.map(({ metadata }) => metadata.name)).size).toBe(4);
});

test("a write that fails is logged, those that follow are written; a namespace that is going is not worth a word", async () => {
  const { written, warnings, recorder } = open(({ message }) => {
    if (message === "lost") throw new ClusterError("unavailable", "Event", "no answer");
    if (message === "going") throw new ClusterError("terminating", "Event", "the namespace is being deleted");
    return Promise.resolve();
  });
  for (const message of ["lost", "going", "kept"]) recorder.record(about, note(message));
  await recorder.flush();
  expect(written.map(({ message }) => message)).toEqual(["kept"]);
  expect(warnings).toEqual([{ reason: "Event: no answer", event: "Deployed" }]);
});

test("what waits is bounded, and long messages are cut", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { written, recorder } = open(() => promise);
  for (let i = 0; i < 1000; i++) recorder.record(about, note(`${i} ${"x".repeat(5000)}`));
  resolve();
  await recorder.flush();
  // The first is being written while 256 wait.
  expect(written).toHaveLength(257);
  expect(Math.max(...written.map(({ message }) => message.length))).toBe(1000);
});
