// What every Cluster must do: run over the one in memory, and over a real API server.
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { isClusterError } from "./cluster-error.ts";
import type { Cluster, WatchEvent } from "./cluster.ts";
import { typeOf } from "./kind-table.ts";
import type { AnyObject, ConfigMap, ControllerRevision, Lease, StreamJob } from "./objects.ts";

export interface ClusterUnderTest {
  readonly cluster: Cluster;
  /** Exists, and is this test's alone. */
  readonly namespace: string;
  close(): Promise<void>;
}

const limitMs = 60_000;

async function eventually<T>(look: () => T | undefined | Promise<T | undefined>, what: string): Promise<T> {
  const untilMs = Date.now() + limitMs;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > untilMs) throw new Error(`not seen: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

export function clusterSuite(name: string, open: () => Promise<ClusterUnderTest>): void {
  describe(`a Cluster: ${name}`, () => {
    let under: ClusterUnderTest;
    let cluster: Cluster;
    let namespace: string;
    const key = (objectName: string): { namespace: string; name: string } => ({ namespace, name: objectName });
    const configMap = (objectName: string, data: Record<string, string>, more: Partial<ConfigMap["metadata"]> = {}): ConfigMap => ({
      ...typeOf("ConfigMap"),
      metadata: { name: objectName, namespace, labels: { suite: "yes" }, ...more },
      data,
    });
    const job = (objectName: string): StreamJob => ({
      ...typeOf("StreamJob"),
      metadata: { name: objectName, namespace },
      spec: { image: "app:1", job: { module: "job.ts" }, checkpoints: { storage: "s3://bucket/jobs" } },
    });
    const reasonOf = (attempt: Promise<unknown>): Promise<string> =>
      attempt.then(
        () => "none",
        (error: unknown) => (isClusterError(error) ? error.reason : `not a ClusterError: ${String(error)}`),
      );

    beforeEach(async () => {
      under = await open();
      ({ cluster, namespace } = under);
    });
    afterEach(() => under.close(), 60_000);

    test("what is not there is undefined, and deleting it is no error", async () => {
      expect(await cluster.get("ConfigMap", key("none"))).toBeUndefined();
      await cluster.delete("ConfigMap", key("none"));
    });

    test("create makes once and then says that it exists", async () => {
      const made = await cluster.create(configMap("a", { x: "1" }));
      expect(made.metadata.uid).toBeTruthy();
      expect(made.metadata.resourceVersion).toBeTruthy();
      expect(await reasonOf(cluster.create(configMap("a", { x: "2" })))).toBe("exists");
      expect((await cluster.get("ConfigMap", key("a")))?.data).toEqual({ x: "1" });
    });

    test("apply makes, changes, and takes away what it gave before and does not give now", async () => {
      const first = await cluster.apply(configMap("a", { x: "1" }, { annotations: { one: "1", two: "2" } }));
      const second = await cluster.apply(configMap("a", { x: "2" }, { annotations: { two: "3" } }));
      expect(second.metadata.uid).toBe(first.metadata.uid);
      expect(second.data).toEqual({ x: "2" });
      expect(second.metadata.annotations).toEqual({ two: "3" });
    });

    test("apply twice is no change", async () => {
      const first = await cluster.apply(configMap("a", { x: "1" }));
      const second = await cluster.apply(configMap("a", { x: "1" }));
      expect(second.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    });

    test("apply leaves what others own: an annotation on a Lease keeps its holder", async () => {
      const lease: Lease = { ...typeOf("Lease"), metadata: { name: "l", namespace } };
      const made = await cluster.apply({ ...lease, metadata: { ...lease.metadata, annotations: { a: "1" } } });
      await cluster.replace({ ...made, spec: { holderIdentity: "somebody", leaseDurationSeconds: 15 } });
      await cluster.apply({ ...lease, metadata: { ...lease.metadata, annotations: { a: "2" } } });
      const now = await cluster.get("Lease", key("l"));
      expect(now?.spec?.holderIdentity).toBe("somebody");
      expect(now?.metadata.annotations).toMatchObject({ a: "2" });
    });

    test("replace under an old version is a conflict", async () => {
      const made = await cluster.create(configMap("a", { x: "1" }));
      await cluster.replace({ ...made, data: { x: "2" } });
      expect(await reasonOf(cluster.replace({ ...made, data: { x: "3" } }))).toBe("conflict");
      expect((await cluster.get("ConfigMap", key("a")))?.data).toEqual({ x: "2" });
    });

    test("replaceStatus changes the status only, under a version, and not the generation", async () => {
      const made = await cluster.create(job("a"));
      const told = await cluster.replaceStatus({
        ...made,
        spec: { ...made.spec, image: "other:1" },
        status: { observedGeneration: 1, run: 7 },
      });
      expect(told.spec.image).toBe("app:1");
      expect(told.status).toMatchObject({ observedGeneration: 1, run: 7 });
      expect(told.metadata.generation).toBe(made.metadata.generation);
      expect(await reasonOf(cluster.replaceStatus({ ...made, status: { run: 8 } }))).toBe("conflict");
      const changed = await cluster.replace({ ...told, spec: { ...told.spec, image: "app:2" } });
      expect(changed.metadata.generation).toBe((made.metadata.generation ?? 0) + 1);
      expect(changed.status?.run).toBe(7);
    });

    test("an object with a finalizer stays, marked as deleted, until the finalizer goes", async () => {
      const made = await cluster.create(job("a"));
      await cluster.patchMetadata("StreamJob", key("a"), {
        resourceVersion: made.metadata.resourceVersion ?? "",
        finalizers: ["millrace.dev/x"],
      });
      await cluster.delete("StreamJob", key("a"));
      const marked = await eventually(() => cluster.get("StreamJob", key("a")), "the object");
      expect(marked.metadata.deletionTimestamp).toBeTruthy();
      expect(await reasonOf(cluster.patchMetadata("StreamJob", key("a"), { resourceVersion: "1", finalizers: [] }))).toBe("conflict");
      // A real server's garbage collector writes to a marked object too: whoever comes second looks again.
      await eventually(async () => {
        const { metadata } = (await cluster.get("StreamJob", key("a"))) ?? marked;
        const taken = cluster.patchMetadata("StreamJob", key("a"), { resourceVersion: metadata.resourceVersion ?? "", finalizers: [] });
        return (await reasonOf(taken)) === "conflict" ? undefined : true;
      }, "the finalizer's end");
      await eventually(async () => ((await cluster.get("StreamJob", key("a"))) === undefined ? true : undefined), "its end");
    });

    test("patchMetadata sets annotations and takes them away", async () => {
      const made = await cluster.create<StreamJob>({
        ...job("a"),
        metadata: { name: "a", namespace, annotations: { keep: "1", drop: "2" } },
      });
      await cluster.patchMetadata("StreamJob", key("a"), {
        resourceVersion: made.metadata.resourceVersion ?? "",
        annotations: { drop: null, add: "3" },
      });
      expect((await cluster.get("StreamJob", key("a")))?.metadata.annotations).toEqual({ keep: "1", add: "3" });
    });

    test("delete with the uid of another object of that name leaves this one", async () => {
      await cluster.create(configMap("a", {}));
      await cluster.delete("ConfigMap", key("a"), { uid: "00000000-0000-0000-0000-000000000000" }).catch(() => {});
      expect(await cluster.get("ConfigMap", key("a"))).toBeDefined();
      const made = await cluster.get("ConfigMap", key("a"));
      await cluster.delete("ConfigMap", key("a"), { uid: made?.metadata.uid ?? "" });
      await eventually(async () => ((await cluster.get("ConfigMap", key("a"))) === undefined ? true : undefined), "its end");
    });

    test("dependents go with their owner", async () => {
      const owner = await cluster.create(job("a"));
      const revision: ControllerRevision = {
        ...typeOf("ControllerRevision"),
        metadata: {
          name: "a-1",
          namespace,
          ownerReferences: [
            {
              apiVersion: owner.apiVersion,
              kind: owner.kind,
              name: "a",
              uid: owner.metadata.uid ?? "",
              controller: true,
              blockOwnerDeletion: true,
            },
          ],
        },
        revision: 1,
        data: { spec: { image: "app:1" } },
      };
      await cluster.create(revision);
      await cluster.delete("StreamJob", key("a"));
      await eventually(
        async () => ((await cluster.get("ControllerRevision", key("a-1"))) === undefined ? true : undefined),
        "the revision's end",
      );
      await eventually(async () => ((await cluster.get("StreamJob", key("a"))) === undefined ? true : undefined), "the owner's end");
    });

    test("list gives what the labels choose, of one namespace, with type", async () => {
      await cluster.create(configMap("a", {}, { labels: { group: "1" } }));
      await cluster.create(configMap("b", {}, { labels: { group: "2" } }));
      const { items, resourceVersion } = await cluster.list("ConfigMap", { namespace, labels: { group: "1" } });
      expect(items.map(({ kind, apiVersion, metadata }) => [kind, apiVersion, metadata.name])).toEqual([["ConfigMap", "v1", "a"]]);
      expect(resourceVersion).toBeTruthy();
    });

    test("a watch from a list's version misses nothing and repeats nothing, and ends when it is told", async () => {
      await cluster.create(configMap("before", {}));
      const scope = { namespace, labels: { suite: "yes" } };
      const { resourceVersion } = await cluster.list("ConfigMap", scope);
      await cluster.create(configMap("between", {}));
      const seen: WatchEvent<AnyObject>[] = [];
      const stop = new AbortController();
      const watching = cluster.watch("ConfigMap", { ...scope, resourceVersion }, (event) => seen.push(event), stop.signal);
      const made = await cluster.create(configMap("after", { x: "1" }));
      await cluster.replace({ ...made, data: { x: "2" } });
      await cluster.create(configMap("other", {}, { labels: { suite: "no" } }));
      await cluster.delete("ConfigMap", key("after"));
      const changes = (): string[] =>
        // That an object is marked for deletion is a change of its own, where dependents are waited for.
        seen.flatMap((event) =>
          event.type === "BOOKMARK" || (event.type === "MODIFIED" && event.object.metadata.deletionTimestamp !== undefined)
            ? []
            : [`${event.type} ${event.object.metadata.name}`],
        );
      await eventually(() => (changes().at(-1) === "DELETED after" ? true : undefined), "the deletion");
      expect(changes()).toEqual(["ADDED between", "ADDED after", "MODIFIED after", "DELETED after"]);
      stop.abort();
      await watching;
    });

    test("an object that cannot be is refused as invalid", async () => {
      expect(await reasonOf(cluster.create(configMap("Not A Name", {})))).toBe("invalid");
    });
  });
}
