// Kubernetes, CoreDNS and Helm, built by Go from their modules into the cache, once per version.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { cacheFolder, cachePath } from "../paths.mjs";
import { Problem } from "../problem.mjs";
import { withLock } from "../state.mjs";
import { has, run } from "../tools.mjs";
import { COREDNS_VERSION, HELM_VERSION, KIND_VERSION, KUBERNETES_VERSION } from "./versions.mjs";

const parts = ["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl"];
const modules = "k8s.io/kubernetes";
const env = { GOFLAGS: "-mod=mod", GOWORK: "off", CGO_ENABLED: "0" };
const next = "check that Go can reach its module proxy (go env GOPROXY), then run this again: what is built is kept";
const BUILD_TIMEOUT_MS = 3_000_000;

/** Folder of the programs of a node; builds what is missing. */
export function installKubernetes(say) {
  return once("install-kubernetes", () => {
    const folder = cachePath(`kubernetes-${KUBERNETES_VERSION}`);
    const missing = parts.filter((part) => !existsSync(join(folder, part)));
    if (missing.length > 0) {
      needGo("Kubernetes");
      say(`building Kubernetes ${KUBERNETES_VERSION} (${missing.join(", ")}), about 6 minutes the first time`);
      const source = kubernetesModule();
      const flags = `-s -w -X k8s.io/component-base/version.gitVersion=v${KUBERNETES_VERSION} -X k8s.io/client-go/pkg/version.gitVersion=v${KUBERNETES_VERSION}`;
      for (const part of missing) build(source, join(folder, part), ["-trimpath", "-ldflags", flags], `${modules}/cmd/${part}`);
    }
    installCoreDns(say);
    installPause();
    return folder;
  });
}

/** The path of helm. */
export const installHelm = (say) => installByGo("helm", HELM_VERSION, `helm.sh/helm/v3/cmd/helm@v${HELM_VERSION}`, say);

/** The path of kind. */
export const installKind = (say) => installByGo("kind", KIND_VERSION, `sigs.k8s.io/kind@v${KIND_VERSION}`, say);

/** The path of kubectl alone, where the cluster is not of our making. */
export function installKubectl(say) {
  return once("install-kubernetes", () => {
    const program = join(cachePath(`kubernetes-${KUBERNETES_VERSION}`), "kubectl");
    if (!existsSync(program)) {
      needGo("kubectl");
      say(`building kubectl ${KUBERNETES_VERSION}, about 3 minutes the first time`);
      build(kubernetesModule(), program, ["-trimpath", "-ldflags", "-s -w"], `${modules}/cmd/kubectl`);
    }
    return program;
  });
}

const once = (lock, work) => withLock(lock, work, { folder: cacheFolder, waitMs: BUILD_TIMEOUT_MS });

function needGo(what) {
  if (!has("go", ["version"]))
    throw new Problem(
      `${what} is built with Go, and no go is on the PATH`,
      "install Go 1.24 or newer (https://go.dev/dl), or start Docker",
    );
}

/** Compiles with low priority: it takes minutes, and people go on working. The program appears whole or not at all. */
function build(cwd, program, flags, target) {
  const fresh = `${program}.${process.pid}`;
  try {
    run("nice", ["-n", "10", "go", "build", ...flags, "-o", fresh, target], { cwd, env, next, timeoutMs: BUILD_TIMEOUT_MS });
    renameSync(fresh, program);
  } finally {
    rmSync(fresh, { force: true });
  }
}

/** A module that requires Kubernetes with its staging modules: k8s.io/kubernetes replaces them by folders, which a dependent does not have. */
function kubernetesModule() {
  const folder = join(cachePath(`kubernetes-${KUBERNETES_VERSION}`), "module");
  return prepared(folder, (fresh) => {
    const place = JSON.parse(run("go", ["mod", "download", "-json", `${modules}@v${KUBERNETES_VERSION}`], { cwd: fresh, env, next })).Dir;
    const staging = [...readFileSync(join(place, "go.mod"), "utf8").matchAll(/^\s+(k8s\.io\/[\w-]+) => \.\/staging/gm)].map(
      (match) => match[1],
    );
    const version = `v0.${KUBERNETES_VERSION.slice(2)}`;
    const lines = ["module millrace.dev/kubernetes", "go 1.24.0", `require ${modules} v${KUBERNETES_VERSION}`];
    writeFileSync(join(fresh, "go.mod"), `${[...lines, ...staging.map((name) => `replace ${name} => ${name} ${version}`)].join("\n")}\n`);
    imports(
      fresh,
      parts.map((part) => `${modules}/cmd/${part}`),
    );
    run("go", ["mod", "tidy"], { cwd: fresh, env, next });
  });
}

/** CoreDNS with the plugins that a node needs; the full program has every cloud's client in it and takes ten times as long to build. */
function installCoreDns(say) {
  const program = join(cachePath(`coredns-${COREDNS_VERSION}`), "coredns");
  if (existsSync(program)) return;
  say(`building CoreDNS ${COREDNS_VERSION}`);
  const source = prepared(join(cachePath(`coredns-${COREDNS_VERSION}`), "module"), (fresh) => {
    writeFileSync(join(fresh, "go.mod"), "module millrace.dev/coredns\ngo 1.24.0\n");
    const plugins = ["bind", "errors", "cache", "kubernetes"];
    const lines = [
      "package main",
      "import (",
      '\t"github.com/coredns/coredns/core/dnsserver"',
      '\t"github.com/coredns/coredns/coremain"',
      ...plugins.map((name) => `\t_ "github.com/coredns/coredns/plugin/${name}"`),
      ")",
      `func main() {\n\tdnsserver.Directives = []string{${plugins.map((name) => `"${name}"`).join(", ")}}\n\tcoremain.Run()\n}`,
    ];
    writeFileSync(join(fresh, "main.go"), `${lines.join("\n")}\n`);
    const staging = `v0.${KUBERNETES_VERSION.slice(2)}`;
    // The same modules of Kubernetes as above: what is compiled already is used again.
    const client = ["client-go", "api", "apimachinery"].map((name) => `k8s.io/${name}@${staging}`);
    run("go", ["get", `github.com/coredns/coredns@v${COREDNS_VERSION}`, ...client], { cwd: fresh, env, next });
    run("go", ["mod", "tidy"], { cwd: fresh, env, next });
  });
  build(source, program, ["-trimpath", "-ldflags", "-s -w"], ".");
}

/** The program that holds a pod's namespaces: waits to be told to end. */
function installPause() {
  const folder = cachePath(`kubernetes-${KUBERNETES_VERSION}`);
  const program = join(folder, "pause");
  if (existsSync(program)) return;
  const source = prepared(join(folder, "pause-module"), (fresh) => {
    writeFileSync(join(fresh, "go.mod"), "module millrace.dev/pause\ngo 1.24.0\n");
    writeFileSync(
      join(fresh, "main.go"),
      'package main\n\nimport (\n\t"os"\n\t"os/signal"\n\t"syscall"\n)\n\nfunc main() {\n\tstop := make(chan os.Signal, 1)\n\tsignal.Notify(stop, syscall.SIGINT, syscall.SIGTERM)\n\t<-stop\n}\n',
    );
  });
  build(source, program, ["-trimpath", "-ldflags", "-s -w"], ".");
}

function installByGo(name, version, target, say) {
  return once(`install-${name}`, () => {
    const folder = cachePath(`${name}-${version}`);
    const program = join(folder, name);
    if (existsSync(program)) return program;
    needGo(name);
    say(`building ${name} ${version}, about two minutes the first time`);
    const fresh = mkdtempSync(join(folder, "install-"));
    try {
      run("nice", ["-n", "10", "go", "install", "-trimpath", "-ldflags", "-s -w", target], {
        env: { ...env, GOBIN: fresh },
        next,
        timeoutMs: BUILD_TIMEOUT_MS,
      });
      renameSync(join(fresh, name), program);
    } finally {
      rmSync(fresh, { recursive: true, force: true });
    }
    return program;
  });
}

/** A folder that `make` fills, or nothing. */
function prepared(folder, make) {
  if (existsSync(folder)) return folder;
  const fresh = `${folder}.${process.pid}`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { recursive: true });
  try {
    make(fresh);
    renameSync(fresh, folder);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return folder;
}

function imports(folder, packages) {
  writeFileSync(
    join(folder, "tools.go"),
    `//go:build tools\n\npackage tools\n\nimport (\n${packages.map((name) => `\t_ "${name}"`).join("\n")}\n)\n`,
  );
}
