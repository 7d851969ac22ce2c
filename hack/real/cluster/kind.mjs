// A cluster by kind, where a Docker engine answers.
import { rmSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { containerRuns, docker } from "../docker.mjs";
import { Problem } from "../problem.mjs";
import { has, run } from "../tools.mjs";
import { installKind, installKubectl } from "./build-programs.mjs";
import { KIND_NODE_IMAGE, KUBERNETES_VERSION } from "./versions.mjs";

const components = {
  etcd: "etcd",
  apiserver: "kube-apiserver",
  "controller-manager": "kube-controller-manager",
  scheduler: "kube-scheduler",
};
const nameOf = (cluster) => `millrace-${cluster.instance}`;
const container = (cluster) => `${nameOf(cluster)}-control-plane`;

export const kindCluster = {
  via: "kind",

  async plan(cluster, say) {
    const kind = has("kind", ["version"]) ? "kind" : await installKind(say);
    return { version: KUBERNETES_VERSION, kind, kubectl: await installKubectl(say), kubeconfig: join(cluster.folder, "kubeconfig") };
  },

  lives: (cluster) => containerRuns(container(cluster)),

  async start(cluster, record) {
    mkdirSync(cluster.folder, { recursive: true });
    record();
    // --kubeconfig: the person's own file, and the context it names, stay as they are.
    const place = ["--name", nameOf(cluster), "--kubeconfig", cluster.kubeconfig];
    run(cluster.kind, ["create", "cluster", ...place, "--image", KIND_NODE_IMAGE, "--wait", "180s"]);
    const [network] = JSON.parse(docker("network", "inspect", "kind"));
    const gateway = network.IPAM.Config.map((one) => one.Gateway).find((address) => address?.includes("."));
    if (gateway === undefined)
      throw new Problem("the network of kind has no IPv4 gateway", "delete the Docker network `kind` and try again");
    Object.assign(cluster, { host: gateway });
    record();
  },

  async loadImage(cluster, archive) {
    run(cluster.kind, ["load", "image-archive", archive, "--name", nameOf(cluster)]);
  },

  /** The kubelet starts a killed component again. */
  async kill(cluster, component, seconds) {
    const process = components[component];
    if (process === undefined) throw new Problem(`${component} cannot be killed here`, `choose from ${Object.keys(components).join(", ")}`);
    const until = Date.now() + seconds * 1000;
    do docker("exec", container(cluster), "pkill", "-KILL", "-x", process.slice(0, 15));
    while (Date.now() < until);
  },

  async stop(cluster) {
    run(cluster.kind, ["delete", "cluster", "--name", nameOf(cluster), "--kubeconfig", cluster.kubeconfig]);
  },

  remove: (cluster) => rmSync(cluster.folder, { recursive: true, force: true }),
};
