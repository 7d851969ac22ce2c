// A cluster of one node whose components are processes on this machine, in namespaces of their own. Needs root on Linux, and no Docker.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { writeImage } from "../../images/archive.mjs";
import { Problem } from "../problem.mjs";
import { isAlive, startDaemon, stop, waitFor } from "../process.mjs";
import { run } from "../tools.mjs";
import { installKubernetes } from "./build-programs.mjs";
import { makeClusterCertificates } from "./certificates.mjs";
import { makeCgroups, removeCgroups } from "./cgroups.mjs";
import { BRIDGE, components, CONTAINERD_SOCKET, NODE, PAUSE_IMAGE, SERVICE_ADDRESS } from "./components.mjs";
import { layCable, withFreeSubnet } from "./network.mjs";
import { findNodePrograms } from "./node-programs.mjs";
import { COREDNS_VERSION, KUBERNETES_VERSION } from "./versions.mjs";

const READY_TIMEOUT_MS = 180_000;
const nodeProgram = fileURLToPath(new URL("node.mjs", import.meta.url));

export const processCluster = {
  via: "processes",

  async plan(cluster, say) {
    if (process.platform !== "linux" || process.getuid?.() !== 0)
      throw new Problem(
        "without Docker a real cluster needs Linux and root",
        "start Docker, run this as root, or name a cluster of your own: hack/cluster up --context NAME",
      );
    const kubernetes = await installKubernetes(say);
    const programs = await findNodePrograms(say);
    return {
      version: KUBERNETES_VERSION,
      kubernetes,
      coredns: join(dirname(kubernetes), `coredns-${COREDNS_VERSION}`, "coredns"),
      kubectl: join(kubernetes, "kubectl"),
      path: programs.path,
      plugins: programs.plugins,
      env: programs.env,
      cgroup: `${cluster.instance}-${process.pid}`,
    };
  },

  lives: (cluster) => isAlive(cluster),

  async start(cluster, record) {
    await withFreeSubnet((number) => {
      // A stopped cluster that is kept has its address in certificates and stored objects.
      const subnet = cluster.subnetNumber ?? number;
      Object.assign(cluster, addressesOf(subnet), { kubeconfig: join(cluster.folder, "pki/admin.kubeconfig") });
      makeClusterCertificates(join(cluster.folder, "pki"), { address: cluster.address, service: SERVICE_ADDRESS, node: NODE });
      makeCgroups(cluster.cgroup);
      rmSync(join(cluster.folder, "pid"), { recursive: true, force: true });
      rmSync(join(cluster.folder, "hold"), { recursive: true, force: true });
      mkdirSync(join(cluster.folder, "log"), { recursive: true });
      writeFileSync(join(cluster.folder, "node.json"), JSON.stringify(cluster));
      // The shell collects processes that nobody else waits for, as the first process of a namespace must.
      const first = ["sh", "-c", '"$0" "$@" & wait', process.execPath, nodeProgram, cluster.folder];
      const namespaces = ["--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
      const log = join(cluster.folder, "log/node.log");
      const { failed, ...handle } = startDaemon("unshare", [...namespaces, ...first], { log });
      Object.assign(cluster, handle);
      record();
      return connect(cluster, subnet, failed);
    });
    await ready(cluster);
  },

  async loadImage(cluster, archive) {
    inside(cluster, ["ctr", "--address", CONTAINERD_SOCKET, "--namespace", "k8s.io", "images", "import", archive]);
  },

  /** SIGKILL to a component; it comes back by itself after a second, or `seconds` later. */
  async kill(cluster, component, seconds) {
    const known = components(cluster).map(({ name }) => name);
    if (!known.includes(component)) throw new Problem(`there is no component ${component}`, `choose from ${known.join(", ")}`);
    const hold = join(cluster.folder, "hold", component);
    if (seconds > 0) writeFileSync(hold, "");
    try {
      inside(cluster, ["kill", "-KILL", readFileSync(join(cluster.folder, "pid", component), "utf8")]);
      await sleep(seconds * 1000);
    } finally {
      rmSync(hold, { force: true });
    }
  },

  async stop(cluster) {
    // The end of its first process ends everything inside the namespaces, and the cable with them.
    await stop(cluster, { signal: "SIGKILL" });
    // The kernel takes its time with a namespace that was busy; without the cable nothing of it is left on this machine.
    if (existsSync(`/sys/class/net/mr-${cluster.subnetNumber}`)) run("ip", ["link", "delete", `mr-${cluster.subnetNumber}`]);
    removeCgroups(cluster.cgroup);
  },

  remove(cluster) {
    removeCgroups(cluster.cgroup);
    rmSync(cluster.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  },
};

function addressesOf(number) {
  const base = `10.88.${number}`;
  return { subnetNumber: number, subnet: `${base}.0/24`, host: `${base}.1`, address: `${base}.2`, firstPod: `${base}.10`, bridge: BRIDGE };
}

/** Waits for the namespaces, and lays the cable into them. */
async function connect(cluster, subnet, failed) {
  const alive = () => (isAlive(cluster) ? undefined : (failed()?.message ?? "it has ended"));
  await waitFor("the node's namespaces", () => firstProcess(cluster), {
    timeoutMs: 30_000,
    log: join(cluster.folder, "log/node.log"),
    alive,
  });
  layCable(subnet, firstProcess(cluster));
}

/** The namespaces' first process as this machine numbers it: the one child of the process that made them. */
function firstProcess(cluster) {
  for (const pid of readdirSync("/proc").filter((name) => /^\d+$/.test(name))) {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
      if (Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === cluster.pid) return Number(pid);
    } catch {
      // It ended while being looked at.
    }
  }
  return undefined;
}

/** Runs a program as if on the node. */
function inside(cluster, [program, ...args]) {
  const pid = firstProcess(cluster);
  if (pid === undefined) throw new Problem(`${cluster.instance} does not run`, "start it: hack/cluster up");
  const env = Object.entries({ ...cluster.env, PATH: cluster.path.join(":") }).map(([name, value]) => `${name}=${value}`);
  return run("nsenter", ["--target", String(pid), "--mount", "--net", "--pid", "env", ...env, program, ...args]);
}

async function ready(cluster) {
  const log = (name) => join(cluster.folder, `log/${name}.log`);
  const alive = () => (isAlive(cluster) ? undefined : "it has ended");
  const kubectl = (...args) => run(cluster.kubectl, ["--kubeconfig", cluster.kubeconfig, ...args]);
  const wait = (what, component, probe) => waitFor(what, probe, { timeoutMs: READY_TIMEOUT_MS, log: log(component), alive });
  await wait("containerd", "containerd", () => inside(cluster, ["ctr", "--address", CONTAINERD_SOCKET, "version"]));
  const image = join(cluster.folder, "pause/image");
  mkdirSync(image, { recursive: true });
  run("cp", [join(cluster.kubernetes, "pause"), image]);
  const archive = join(cluster.folder, "pause/pause.tar");
  await writeImage({ name: PAUSE_IMAGE, layers: [{ folder: image }], config: { Entrypoint: ["/pause"] }, file: archive });
  await processCluster.loadImage(cluster, archive);
  await wait("the API server", "apiserver", () => kubectl("get", "--raw", "/readyz").trim() === "ok");
  await wait(
    "the node",
    "kubelet",
    () => kubectl("get", "node", NODE, "-o", `jsonpath={.status.conditions[?(@.type=="Ready")].status}`) === "True",
  );
  await wait("the default service account", "controller-manager", () => kubectl("get", "serviceaccount", "default", "-o", "name"));
}
