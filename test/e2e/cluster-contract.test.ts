// The Cluster port over a real API server does what every Cluster must do.
import { randomBytes } from "node:crypto";
import { ApiConnection } from "../../src/kubernetes/api-connection.ts";
import { KubernetesCluster } from "../../src/kubernetes/kubernetes-cluster.ts";
import { clusterSuite } from "../../src/ports/cluster.suite.ts";
import { afterAll, beforeAll } from "vitest";
import { kubectl, realCluster } from "../support/cluster.ts";
import { withoutOperator } from "./support/operator.ts";

let operatorBack = (): Promise<void> => Promise.resolve();
beforeAll(async () => {
  operatorBack = await withoutOperator();
});
afterAll(() => operatorBack());

clusterSuite("a real API server", async () => {
  const namespace = `contract-${randomBytes(4).toString("hex")}`;
  await kubectl(["apply", "--server-side", "--force-conflicts", "-f", "crds/"]);
  await kubectl(["create", "namespace", namespace]);
  const api = new ApiConnection({ kubeconfig: realCluster().kubeconfig, onRequest: () => {} });
  return {
    cluster: new KubernetesCluster(api, Math.random),
    namespace,
    close: async () => {
      await kubectl(["delete", "namespace", namespace, "--wait=false"]);
    },
  };
});
