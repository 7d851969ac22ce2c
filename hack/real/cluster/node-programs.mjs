// What a node needs besides Kubernetes: etcd, containerd, runc, CNI plugins, iptables. From the machine, else unpacked from Debian packages.
//
// The packages are unpacked into the cache, not installed: nothing of the machine changes.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync } from "node:fs";
import { delimiter, join } from "node:path";
import { cacheFolder, cachePath } from "../paths.mjs";
import { Problem } from "../problem.mjs";
import { withLock } from "../state.mjs";
import { has, run } from "../tools.mjs";

const programs = [
  "etcd",
  "containerd",
  "containerd-shim-runc-v2",
  "ctr",
  "runc",
  "iptables",
  "iptables-save",
  "iptables-restore",
  "conntrack",
];
const plugins = ["bridge", "host-local", "loopback"];
const pluginFolders = ["/opt/cni/bin", "/usr/lib/cni"];
/** `libraries` are those that iptables and conntrack load. */
const packages = [
  "etcd-server",
  "containerd",
  "runc",
  "containernetworking-plugins",
  "iptables",
  "conntrack",
  ...["libip4tc2", "libip6tc2", "libxtables12", "libnftnl11", "libmnl0", "libnetfilter-conntrack3", "libnfnetlink0"],
];
const system = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/** `{ path, plugins, env }`: folders of programs, the folder of CNI plugins, and variables with which the programs find their libraries. */
export async function findNodePrograms(say) {
  const onPath = [...(process.env.PATH ?? "").split(delimiter), ...system];
  const found = (name) => onPath.some((folder) => existsSync(join(folder, name)));
  const pluginFolder = pluginFolders.find((folder) => plugins.every((plugin) => existsSync(join(folder, plugin))));
  if (programs.every(found) && pluginFolder !== undefined) return { path: onPath, plugins: pluginFolder, env: {} };
  const unpacked = await withLock("install-node-programs", () => unpack(say), { folder: cacheFolder });
  const [library] = readdirSync(join(unpacked, "usr/lib")).filter((name) => name.endsWith("-linux-gnu"));
  const libraries = join(unpacked, "usr/lib", library);
  return {
    path: [join(unpacked, "links"), ...["usr/sbin", "usr/bin", "sbin", "bin"].map((folder) => join(unpacked, folder)), ...onPath],
    plugins: join(unpacked, "usr/lib/cni"),
    env: { LD_LIBRARY_PATH: libraries, XTABLES_LIBDIR: join(libraries, "xtables") },
  };
}

function unpack(say) {
  const release = /^VERSION_CODENAME=(\w+)$/m.exec(existsSync("/etc/os-release") ? readFileSync("/etc/os-release", "utf8") : "")?.[1];
  if (release === undefined || !has("apt-get") || !has("dpkg"))
    throw new Problem(
      `a real cluster needs ${programs.join(", ")} and CNI plugins`,
      "install etcd, containerd, runc, the CNI plugins, iptables and conntrack, or start Docker",
    );
  const folder = join(cacheFolder, `node-programs-${release}`);
  if (existsSync(folder)) return folder;
  say("downloading etcd, containerd, runc and iptables from the distribution");
  const fresh = mkdtempSync(join(cachePath(), "install-"));
  try {
    // Lists of its own: whether the machine has fresh ones does not matter, and they are not touched.
    const lists = join(fresh, "lists");
    mkdirSync(join(lists, "partial"), { recursive: true });
    mkdirSync(join(fresh, "archives/partial"), { recursive: true });
    const options = ["-o", `Dir::State::lists=${lists}`, "-o", `Dir::Cache=${fresh}`, "-o", "APT::Sandbox::User=root"];
    const next = "check that apt-get can reach the distribution's mirror, or install the programs yourself";
    run("apt-get", [...options, "-q", "update"], { next });
    run("apt-get", [...options, "-q", "download", ...packages], { cwd: fresh, next });
    const root = join(fresh, "root");
    mkdirSync(join(root, "links"), { recursive: true });
    for (const file of readdirSync(fresh).filter((name) => name.endsWith(".deb"))) run("dpkg", ["-x", join(fresh, file), root]);
    // What the package's install script would have linked; the program looks at the name by which it is called.
    for (const family of ["iptables", "ip6tables"])
      for (const suffix of ["", "-save", "-restore"])
        symlinkSync("../usr/sbin/xtables-nft-multi", join(root, "links", `${family}${suffix}`));
    renameSync(root, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return folder;
}
