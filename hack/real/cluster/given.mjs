// A cluster of the person's own, named by its context: it is used, and never started, ended or reconfigured.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Problem } from "../problem.mjs";
import { has, run } from "../tools.mjs";
import { installKubectl } from "./build-programs.mjs";

export const givenCluster = {
  via: "context",

  async plan(cluster, say) {
    const kubectl = has("kubectl", ["version", "--client"]) ? "kubectl" : await installKubectl(say);
    return { version: "as it is", kubectl, kubeconfig: join(cluster.folder, "kubeconfig"), host: process.env.MILLRACE_TEST_HOST };
  },

  lives: () => true,

  async start(cluster, record) {
    // A copy of this one context: what the person chooses later does not change where tests go.
    const next = "name a context of your kubeconfig: kubectl config get-contexts";
    const text = run(cluster.kubectl, ["config", "view", "--minify", "--flatten", "--context", cluster.context], { next });
    mkdirSync(cluster.folder, { recursive: true });
    writeFileSync(cluster.kubeconfig, text, { mode: 0o600 });
    run(cluster.kubectl, ["--kubeconfig", cluster.kubeconfig, "get", "--raw", "/readyz"], { next: "check that this cluster answers" });
    record();
  },

  async loadImage() {
    throw new Problem(
      "images cannot be loaded into a cluster that is not of hack/cluster's making",
      "push the image to a registry that it pulls from",
    );
  },

  async kill() {
    throw new Problem("this cluster is not of hack/cluster's making", "use one that is: hack/cluster up --name x");
  },

  async stop() {},

  remove: (cluster) => rmSync(cluster.folder, { recursive: true, force: true }),
};
