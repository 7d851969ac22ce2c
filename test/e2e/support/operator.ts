// The operator on the real cluster: its images made and loaded, its chart installed, once for all tests of a run.
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { kubectl, tryKubectl } from "../../support/cluster.ts";
import { eventually } from "./eventually.ts";
import { hack, helm } from "./scripts.ts";

const chart = fileURLToPath(new URL("../../../charts/millrace", import.meta.url));
export const operatorNamespace = "millrace-system";
export const release = "millrace";
const JOBS = fileURLToPath(new URL("../jobs/", import.meta.url));

export async function installOperator(): Promise<void> {
  if ((await tryKubectl(["get", "deployment", "-n", operatorNamespace, `${release}-operator`])).code !== 0) {
    await hack("image", "operator", "--image", "millrace.dev/operator:dev", "--load");
    await hack("image", "runtime", "--image", "millrace.dev/runtime:dev", "--load");
  }
  const values = ["image.tag=dev", "runtimeImage.tag=dev"].flatMap((value) => ["--set", value]);
  await helm(
    "upgrade",
    "--install",
    release,
    chart,
    "-n",
    operatorNamespace,
    "--create-namespace",
    ...values,
    "--wait",
    "--timeout",
    "5m",
    "--take-ownership",
  );
}

const imageOf = (name: string): string => `millrace.test/${name}:1`;

/**
 * Sends the operator away, if it is there, until the returned function is called: a test that writes objects by itself must be the only one
 * that does.
 */
export async function withoutOperator(): Promise<() => Promise<void>> {
  const deployment = `${release}-operator`;
  const found = await tryKubectl(["get", "deployment", deployment, "-n", operatorNamespace, "-o", "jsonpath={.spec.replicas}"]);
  if (found.code !== 0) return () => Promise.resolve();
  const scale = (replicas: string): Promise<string> =>
    kubectl(["scale", "deployment", deployment, "-n", operatorNamespace, `--replicas=${replicas}`]);
  await scale("0");
  const pods = ["pods", "-n", operatorNamespace, "-l", `app.kubernetes.io/instance=${release}`, "-o", "name"];
  await eventually("the operator's pods are gone", async () => ((await kubectl(["get", ...pods])) === "" ? true : undefined));
  return async () => {
    await scale(found.stdout);
    await kubectl(["rollout", "status", "deployment", deployment, "-n", operatorNamespace, "--timeout=180s"]);
  };
}

/** What the setup of a run has loaded: two versions of a job that numbers visits. */
export const visitImages = { v1: imageOf("visits-v1"), v2: imageOf("visits-v2") } as const;

/** Makes the image of a job of jobs/ and loads it. */
export async function jobImage(name: string): Promise<void> {
  await hack("image", "job", "--folder", `${JOBS}${name}`, "--image", imageOf(name), "--load");
}

/** A ConfigMap with the module of a job of jobs/: a job without an image of its own. */
export async function jobConfigMap(name: string, namespace: string): Promise<void> {
  const data = { "visits.ts": readFileSync(`${JOBS}${name}/visits.ts`, "utf8") };
  await kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name, namespace }, data }));
}

/** A namespace of a test's own, with the restricted security profile enforced. */
export async function createNamespace(name: string): Promise<void> {
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  await kubectl(["apply", "-f", "-"], JSON.stringify({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } }));
}
