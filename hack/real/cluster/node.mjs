// The node as a process: runs as the first process of its own network, mount and process namespaces, starts the components there and
// starts again one that ends. When it is killed, the kernel ends everything inside: components, pods, mounts, network.
//
// node.mjs FOLDER reads FOLDER/node.json. FOLDER/pid/NAME holds a component's process id (inside); a component whose FOLDER/hold/NAME
// exists is not started until that file is gone.
import { execFileSync, spawn } from "node:child_process";
import { createWriteStream, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { BRIDGE, components, configurationFiles } from "./components.mjs";

const RESTART_DELAY_MS = 1000;
const NETWORK_TIMEOUT_MS = 60_000;
const kernelSettings = {
  "vm/overcommit_memory": 1,
  "vm/panic_on_oom": 0,
  "kernel/panic": 10,
  "kernel/panic_on_oops": 1,
  "kernel/keys/root_maxkeys": 1_000_000,
  "kernel/keys/root_maxbytes": 25_000_000,
};

const node = JSON.parse(readFileSync(join(process.argv[2], "node.json"), "utf8"));
const command = (program, ...args) => execFileSync(program, args, { stdio: ["ignore", "pipe", "inherit"], encoding: "utf8" });

async function makeNetwork() {
  command("ip", "link", "set", "lo", "up");
  // The machine puts its end of the cable in; it comes a moment later.
  const until = Date.now() + NETWORK_TIMEOUT_MS;
  while (!command("ip", "-o", "link").includes(" eth0")) {
    if (Date.now() > until) throw new Error("the cable to the machine did not come");
    await sleep(50);
  }
  command("ip", "link", "add", BRIDGE, "type", "bridge");
  // An address that was set stays. Else it is the lowest of the bridge's ports: whenever a pod that has it comes or goes, everybody who
  // has learnt the node's address sends to nobody for up to half a minute.
  const [bridge] = JSON.parse(command("ip", "-j", "link", "show", "dev", BRIDGE));
  command("ip", "link", "set", BRIDGE, "address", bridge.address);
  command("ip", "addr", "add", `${node.address}/24`, "dev", BRIDGE);
  command("ip", "link", "set", "eth0", "master", BRIDGE);
  for (const name of ["eth0", BRIDGE]) command("ip", "link", "set", name, "up");
  command("ip", "route", "add", "default", "via", node.host);
  writeFileSync("/proc/sys/net/ipv4/ip_forward", "1");
}

function makeMounts() {
  // Pods' mounts go from the kubelet to the containers, but never out of here.
  command("mount", "--make-rprivate", "/");
  command("mount", "--make-rshared", "/");
  for (const path of ["/run", "/var/log"]) command("mount", "-t", "tmpfs", "tmpfs", path);
  // The kubelet would set these for the whole machine. Here it finds what it wants, in a file of ours.
  for (const [path, value] of Object.entries(kernelSettings)) {
    const file = join(node.folder, "kernel", path.replaceAll("/", "-"));
    writeFileSync(file, `${value}\n`);
    if (existsSync(join("/proc/sys", path))) command("mount", "--bind", file, join("/proc/sys", path));
  }
}

function start({ name, command: program, args }) {
  const log = createWriteStream(join(node.folder, "log", `${name}.log`), { flags: "a" });
  const env = { ...process.env, ...node.env, PATH: node.path.join(":") };
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "pipe"], cwd: node.folder });
  child.stdout.pipe(log, { end: false });
  child.stderr.pipe(log, { end: false });
  if (child.pid !== undefined) writeFileSync(join(node.folder, "pid", name), String(child.pid));
  child.once("error", (error) => log.write(`${error.stack}\n`));
  child.once("close", (code, signal) => {
    log.end(`${name} ended with ${code ?? signal}\n`);
    void again({ name, command: program, args });
  });
}

async function again(component) {
  await sleep(RESTART_DELAY_MS);
  while (existsSync(join(node.folder, "hold", component.name))) await sleep(100);
  start(component);
}

for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) process.on(signal, () => process.exit(0));
for (const folder of ["log", "pid", "hold", "etcd", "pod-logs", "kernel"])
  mkdirSync(join(node.folder, folder), { recursive: true, mode: 0o700 });
for (const [file, text] of configurationFiles(node)) {
  mkdirSync(dirname(join(node.folder, file)), { recursive: true });
  writeFileSync(join(node.folder, file), text);
}
await makeNetwork();
makeMounts();
for (const component of components(node)) start(component);
