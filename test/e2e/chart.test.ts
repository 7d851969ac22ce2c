// The chart without a cluster's help: helm lint, what templates give for some values, and values that are refused.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { helm } from "./support/scripts.ts";

const chart = fileURLToPath(new URL("../../charts/millrace", import.meta.url));

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly annotations?: Readonly<Record<string, string>> };
  readonly rules?: readonly Rule[];
  readonly spec?: Readonly<Record<string, unknown>>;
}
interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const golden = (name: string): string => fileURLToPath(new URL(`golden/${name}.yaml`, import.meta.url));
const template = (...values: readonly string[]): Promise<string> =>
  helm("template", "millrace", chart, "-n", "millrace-system", "--kube-version", "1.34.0", ...values.flatMap((value) => ["--set", value]));
const parsed = (text: string): readonly Manifest[] =>
  parseAllDocuments(text).flatMap((document) =>
    "contents" in document && document.contents !== null ? [document.toJS() as Manifest] : [],
  );

const namespaced = ["watchNamespaces={shop,bank}", "crds.install=false", "replicas=1"];
const monitored = ["metrics.serviceMonitor.create=true", "metrics.prometheusRule.create=true", "crds.keep=false", "image.tag=v9"];

test("helm lint has nothing to say", async () => {
  expect(await helm("lint", chart, "--strict", "--kube-version", "1.34.0")).toContain("1 chart(s) linted, 0 chart(s) failed");
});

test.each([
  ["default", ["crds.install=false"]],
  ["namespaced", namespaced],
  ["monitored", [...monitored, "crds.install=false"]],
])("what the templates give for %s values is what is checked in", async (name, values) => {
  await expect(await template(...values)).toMatchFileSnapshot(golden(name));
});

test("definitions come with the chart, and stay when it goes", async () => {
  const definitions = parsed(await template()).filter(({ kind }) => kind === "CustomResourceDefinition");
  expect(definitions.map(({ metadata }) => metadata.name).sort()).toEqual([
    "embeddedstreamapps.millrace.dev",
    "microbatchjobs.millrace.dev",
    "savepoints.millrace.dev",
    "streamjobs.millrace.dev",
  ]);
  for (const { metadata } of definitions) expect(metadata.annotations?.["helm.sh/resource-policy"]).toBe("keep");
  const leaving = parsed(await template("crds.keep=false")).filter(({ kind }) => kind === "CustomResourceDefinition");
  for (const { metadata } of leaving) expect(metadata.annotations?.["helm.sh/resource-policy"]).toBeUndefined();
});

test("with watched namespaces nothing that the operator may do is cluster-wide", async () => {
  const all = parsed(await template(...namespaced));
  const bindings = all.filter(({ kind }) => kind === "ClusterRoleBinding");
  expect(bindings).toEqual([]);
  const roles = all.filter(({ kind, metadata }) => kind === "Role" && metadata.name === "millrace-operator");
  expect(roles.map(({ metadata }) => metadata.namespace)).toEqual(["shop", "bank"]);
});

test("no role has a wildcard, and the reference names every verb with its reason, and no other", async () => {
  const role = parsed(await template("crds.install=false")).find(
    ({ kind, metadata }) => kind === "ClusterRole" && metadata.name === "millrace-system-millrace-operator",
  );
  const reference = readFileSync(fileURLToPath(new URL("../../docs/reference/rbac.md", import.meta.url)), "utf8");
  expect(role?.rules?.length).toBeGreaterThan(8);
  for (const { apiGroups, resources, verbs } of role?.rules ?? []) {
    expect([...apiGroups, ...resources, ...verbs]).not.toContain("*");
    for (const resource of resources) {
      const row = reference.split("\n").find((line) => line.startsWith(`| \`${resource}\``));
      const [, , , named = "", reason = ""] = row?.split("|").map((cell) => cell.trim()) ?? [];
      expect(named.split(", ").sort(), resource).toEqual([...verbs].sort());
      expect(reason, resource).not.toBe("");
    }
  }
});

test.each([
  ["replicas=0", "replicas"],
  ["replica=3", "replica"],
  ["watchNamespaces={Shop}", "watchNamespaces"],
  ["image.pullPolicy=Sometimes", "pullPolicy"],
  ["leaderElection.leaseDuration=soon", "leaseDuration"],
  ["log.level=loud", "level"],
  ["metrics.port=0", "port"],
])("%s is refused, and the message names the value", async (value, name) => {
  await expect(template(value)).rejects.toThrow(name);
});
