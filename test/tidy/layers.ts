// Who may import whom: the table, and the rule that reads it.
import { posix } from "node:path";
import { type Finding, importsOf, isCode, isTest, type SourceFile } from "./source-file.ts";

const runtime = "runtime/src/";
const foundation = ["base", "api", "core"];
const everythingInside = [
  ...foundation,
  "plan",
  "operators",
  "dsl",
  "dataframe",
  "state",
  "checkpoint",
  "serde",
  "connectors/*",
  "drivers",
];

/**
 * For each layer of the library (a folder of runtime/src, each connector for itself) the layers it may import besides itself. `(entry)` are
 * the files that the package exports. Nobody imports `cli`: its files start processes.
 */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  base: [],
  api: [],
  core: ["base", "api"],
  plan: foundation,
  operators: [...foundation, "plan"],
  dsl: [...foundation, "plan", "operators"],
  dataframe: [...foundation, "plan", "operators"],
  state: foundation,
  checkpoint: foundation,
  serde: foundation,
  "connectors/contract": foundation,
  "connectors/*": [...foundation, "connectors/contract"],
  drivers: everythingInside,
  testing: everythingInside,
  kubectl: ["base", "api"],
  cli: [...everythingInside, "testing", "(entry)"],
  "(entry)": [...everythingInside, "testing"],
};

/** Layers that must not touch the machine: ports are theirs, files and sockets are for the edges. */
const pureLayers = new Set(["base", "api", "core", "plan", "operators", "dsl", "dataframe"]);
const machine = /^node:(fs|net|tls|http|https|http2|dns|dgram|child_process|cluster|worker_threads|os|process)(\/|$)/;

/** A process starts here; importing such a file would start it. */
const isEntry = (path: string): boolean => /(^|\/)(main|[\w-]+-(entry|main))\.ts$/.test(path) || path.startsWith("runtime/bin/");

export function layerOf(path: string): string {
  const [folder = "", second = ""] = path.slice(runtime.length).split("/");
  if (second === "") return "(entry)";
  return folder === "connectors" ? `connectors/${second}` : folder;
}

function isAllowed(from: string, to: string): boolean {
  if (from === to) return true;
  const allowed = mayImport[from] ?? mayImport[from.replace(/\/.*/, "/*")];
  return allowed !== undefined && (allowed.includes(to) || allowed.includes(to.replace(/\/.*/, "/*")));
}

function checkLibrary({ path }: SourceFile, specifier: string): string | undefined {
  const layer = layerOf(path);
  if (mayImport[layer] === undefined && !layer.startsWith("connectors/")) return `${layer} is not in the table of test/tidy/layers.ts`;
  if (!specifier.startsWith(".")) {
    if (pureLayers.has(layer) && machine.test(specifier))
      return `${layer} must not import ${specifier}: it defines ports, the edges implement them`;
    return /^millrace(\/|$)/.test(specifier) ? `imports ${specifier}; use a relative path` : undefined;
  }
  const target = posix.join(posix.dirname(path), specifier);
  if (!target.startsWith(runtime)) return `imports ${specifier}, which is outside the package`;
  const to = layerOf(target);
  return isAllowed(layer, to) ? undefined : `${layer} must not import ${to} (${specifier})`;
}

/** The same for the folders of src: the operator. Nobody imports what is not named here; `(entry)` are the files of src itself. */
const operatorMayImport: Readonly<Record<string, readonly string[]>> = {
  ports: [],
  controller: ["ports"],
  resource: ["ports", "controller"],
  streamjob: ["ports", "controller", "resource"],
  savepoint: ["ports", "controller", "resource", "streamjob"],
  microbatch: ["ports", "controller", "resource", "streamjob"],
  embedded: ["ports", "controller", "resource", "streamjob"],
  operator: ["ports", "controller", "resource", "streamjob", "savepoint", "microbatch", "embedded"],
  "job-rest": ["ports"],
  kafka: ["ports"],
  kubernetes: ["ports"],
  memory: ["ports"],
  local: ["ports", "controller", "job-rest", "kafka", "memory", "operator", "resource", "streamjob"],
  simulation: ["ports", "memory", "operator"],
  "(entry)": ["ports", "controller", "operator", "job-rest", "kafka", "kubernetes", "local"],
};

/** Files that only compute: what decides and what builds. They know ports by their types, never a cluster, a clock or a file. */
const pureFile =
  /^src\/((streamjob|microbatch|embedded)\/build\/|(resource|streamjob|microbatch|embedded)\/(?!act|observe|reader|reconciler)[\w-]+\.ts$|savepoint\/(?!savepoint-reconciler)[\w-]+\.ts$)/;

function checkOperator({ path }: SourceFile, specifier: string): string | undefined {
  if (/^millrace(\/|$)/.test(specifier))
    return specifier === "millrace/api" || (specifier === "millrace/topics" && path.startsWith("src/kafka/"))
      ? undefined
      : `the operator imports ${specifier}; it may import millrace/api only, and src/kafka millrace/topics`;
  if (!specifier.startsWith("."))
    return pureFile.test(path) && machine.test(specifier) ? `imports ${specifier}: what decides and builds only computes` : undefined;
  const target = posix.join(posix.dirname(path), specifier);
  if (!target.startsWith("src/")) return `imports ${specifier}, which is outside src`;
  const folderOf = (file: string): string => (file.split("/").length === 2 ? "(entry)" : (file.split("/")[1] ?? ""));
  const from = folderOf(path);
  const to = folderOf(target);
  const allowed = operatorMayImport[from];
  if (allowed === undefined) return `src/${from} is not in the table of test/tidy/layers.ts`;
  return from === to || allowed.includes(to) ? undefined : `src/${from} must not import src/${to} (${specifier})`;
}

/** Sources only: a test may import what it needs to make its point. */
export function layerFindings(files: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const file of files.filter((one) => isCode(one) && !isTest(one))) {
    for (const specifier of importsOf(file)) {
      const target = posix.join(posix.dirname(file.path), specifier);
      const problems = [
        file.path.startsWith(runtime) ? checkLibrary(file, specifier) : undefined,
        file.path.startsWith("src/") ? checkOperator(file, specifier) : undefined,
        specifier.startsWith(".") && isEntry(target) && !isEntry(file.path) ? `imports ${specifier}, which starts a process` : undefined,
      ];
      for (const problem of problems) if (problem !== undefined) findings.push({ path: file.path, problem });
    }
  }
  return findings;
}
