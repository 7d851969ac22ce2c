// `hack/cluster`: a real Kubernetes on this machine for tests and for trying things.
//
//   hack/cluster up         [--name x] [--context C]    starts it unless it runs, waits until its node is ready; with --context, uses that one
//   hack/cluster down       [--name x] [--keep]         ends it and deletes its data (--keep: leaves them for the next up)
//   hack/cluster status     [--name x]                  says what runs; ends with 1 when it is not all there
//   hack/cluster load-image --archive F [--name x]      brings an image archive (docker save) onto the node
//   hack/cluster kubeconfig [--name x]                  prints the path of its kubeconfig
//   hack/cluster helm                                  prints the path of helm, which it builds when it is not there
//   hack/cluster kill       --component C [--seconds S] [--name x]   SIGKILL to etcd, apiserver, ...; it comes back S seconds later
//
// By kind where a Docker engine answers (MILLRACE_NO_DOCKER=1 says not to), else by processes in namespaces of their own (Linux, root). The
// person's kubeconfig is never written, and its current context never used. The state file `.cache/run/cluster.json` (`cluster-x.json` with
// --name x) holds `kubeconfig`, `kubectl` and `host`: the address at which pods reach this machine, for hack/kafka and hack/s3 --address.
import { existsSync, rmSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { hasDocker } from "../docker.mjs";
import { instanceName, runFolder } from "../paths.mjs";
import { Problem, runMain } from "../problem.mjs";
import { readState, removeState, withLock, writeState } from "../state.mjs";
import { parseOptions, run } from "../tools.mjs";
import { installHelm } from "./build-programs.mjs";
import { givenCluster } from "./given.mjs";
import { kindCluster } from "./kind.mjs";
import { processCluster } from "./processes.mjs";

const USAGE =
  "hack/cluster up|down|status|load-image|kubeconfig|helm|kill [--name x] [--context C] [--keep] [--archive F] [--component C] [--seconds S]";
const START_WAIT_MS = 3_600_000;
const say = (line) => process.stderr.write(`cluster: ${line}\n`);
const ways = [givenCluster, kindCluster, processCluster];
const wayOf = (cluster) => ways.find((way) => way.via === cluster.via);

async function up(instance, options) {
  const before = readState(instance);
  if (before !== undefined && options.context !== undefined && before.context !== options.context)
    throw new Problem(`${instance} is another cluster already`, "end it first: hack/cluster down");
  const cluster = before ?? (await planned(instance, options));
  const way = wayOf(cluster);
  if (before === undefined || !way.lives(cluster)) {
    if (before === undefined) rmSync(cluster.folder, { recursive: true, force: true });
    // Recorded before it is ready: whatever happens next, `down` knows what to end.
    const record = () => writeState(instance, cluster);
    try {
      await way.start(cluster, record);
    } catch (error) {
      await way.stop(cluster);
      if (before === undefined) removeState(instance);
      throw error;
    }
    record();
  }
  say(`${describe(cluster)}; state in ${relative(process.cwd(), join(runFolder, `${instance}.json`))}`);
  say(`export KUBECONFIG=${cluster.kubeconfig}`);
}

async function planned(instance, options) {
  const way = options.context === undefined ? (hasDocker() ? kindCluster : processCluster) : givenCluster;
  const cluster = { instance, kind: "cluster", via: way.via, folder: join(runFolder, instance), context: options.context };
  return Object.assign(cluster, await way.plan(cluster, say));
}

const describe = (cluster) =>
  `Kubernetes ${cluster.version} by ${cluster.via}${cluster.host === undefined ? "" : `; pods reach this machine at ${cluster.host}`}`;

async function down(instance, options) {
  const cluster = readState(instance);
  if (cluster === undefined) return say(`${instance} does not run`);
  const way = wayOf(cluster);
  await way.stop(cluster);
  if (!options.keep) {
    way.remove(cluster);
    removeState(instance);
  }
  say(`${instance} is down`);
}

async function status(instance) {
  const cluster = readState(instance);
  try {
    if (cluster === undefined || !wayOf(cluster).lives(cluster)) throw new Problem(`${instance} does not run`, "start it: hack/cluster up");
    const nodes = run(cluster.kubectl, ["--kubeconfig", cluster.kubeconfig, "get", "nodes", "--no-headers"], { timeoutMs: 30_000 });
    say(`${describe(cluster)}\n${nodes.trimEnd()}`);
    if (/\bNotReady\b/.test(nodes)) process.exitCode = 1;
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    process.exitCode = 1;
    say(error.message);
  }
}

function running(instance) {
  const cluster = readState(instance);
  if (cluster === undefined || !wayOf(cluster).lives(cluster)) throw new Problem(`${instance} does not run`, "start it: hack/cluster up");
  return cluster;
}

async function loadImage(instance, options) {
  if (options.archive === undefined || !existsSync(options.archive))
    throw new Problem(`there is no archive ${options.archive ?? ""}`, "name a file that docker save or hack/image wrote: --archive F");
  const cluster = running(instance);
  await wayOf(cluster).loadImage(cluster, resolve(options.archive));
  say(`${options.archive} is on the node`);
}

async function kill(instance, options) {
  if (options.component === undefined) throw new Problem("which component?", "name one: --component etcd");
  const cluster = running(instance);
  await wayOf(cluster).kill(cluster, options.component, options.seconds ?? 0);
  say(`${options.component} was killed`);
}

await runMain(async () => {
  const [command, ...rest] = process.argv.slice(2);
  const action = {
    up,
    down,
    status,
    kill,
    "load-image": loadImage,
    kubeconfig: (instance) => process.stdout.write(`${running(instance).kubeconfig}\n`),
    helm: async () => process.stdout.write(`${await installHelm(say)}\n`),
  }[command];
  if (action === undefined) throw new Problem("hack/cluster needs a command", USAGE);
  const known = { name: "text", context: "text", keep: "flag", archive: "text", component: "text", seconds: "number" };
  const options = parseOptions(rest, known, USAGE);
  const instance = instanceName("cluster", options.name);
  if (action === up || action === down) await withLock(instance, () => action(instance, options), { waitMs: START_WAIT_MS });
  else await action(instance, options);
});
