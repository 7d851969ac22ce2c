// Which folder owns which npm package: a client is imported in one place, behind a port, so that it can be replaced.
import { type Finding, importsOf, isCode, isTest, type SourceFile } from "./source-file.ts";

/** Package -> the folders below runtime/src that may import it. */
const owners: Readonly<Record<string, readonly string[]>> = {
  "@aws-sdk/client-s3": ["checkpoint/storage", "connectors/files"],
  "@datadog/sketches-js": ["operators/aggregate"],
  "@duckdb/node-api": ["connectors/files", "drivers/microbatch", "cli"],
  "@duckdb/node-bindings": ["drivers/microbatch"],
  "@hono/node-server": ["cli", "drivers/embedded"],
  "@node-rs/crc32": ["connectors/kafka", "checkpoint"],
  "@nxtedition/rocksdb": ["state"],
  "@platformatic/kafka": ["connectors/kafka"],
  ajv: ["cli"],
  commander: ["cli", "kubectl"],
  hono: ["cli", "drivers/embedded"],
  hyparquet: ["connectors/files", "cli"],
  "hyparquet-writer": ["connectors/files", "cli"],
  "lz4-napi": ["connectors/kafka"],
  msgpackr: ["core/codec", "state", "checkpoint"],
  pg: ["connectors/postgres"],
  picomatch: ["connectors/files"],
  pino: ["cli"],
  "prom-client": ["drivers", "cli"],
  protobufjs: ["serde/protobuf"],
  avsc: ["serde/avro"],
  snappy: ["connectors/kafka", "connectors/files"],
  ws: ["drivers/cluster/rpc"],
  yaml: ["cli"],
};

/** The same for the operator: folders below src. */
const operatorOwners: Readonly<Record<string, readonly string[]>> = {
  "@kubernetes/client-node": ["kubernetes"],
  croner: ["microbatch"],
  "prom-client": ["controller"],
  undici: ["kubernetes"],
};

const packageOf = (specifier: string): string =>
  specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");

export function packageFindings(files: readonly SourceFile[]): Finding[] {
  return [...findingsBelow("runtime/src/", owners, files), ...findingsBelow("src/", operatorOwners, files)];
}

function findingsBelow(root: string, table: Readonly<Record<string, readonly string[]>>, files: readonly SourceFile[]): Finding[] {
  const findings: Finding[] = [];
  for (const file of files.filter((one) => isCode(one) && !isTest(one) && one.path.startsWith(root))) {
    for (const specifier of importsOf(file).filter((one) => !/^(\.|node:|millrace(\/|$))/.test(one))) {
      const folders = table[packageOf(specifier)];
      if (folders === undefined)
        findings.push({ path: file.path, problem: `imports ${specifier}, which has no owner in test/tidy/packages.ts` });
      else if (!folders.some((folder) => file.path.startsWith(`${root}${folder}/`))) {
        findings.push({ path: file.path, problem: `imports ${specifier}, which belongs to ${folders.join(", ")}` });
      }
    }
  }
  return findings;
}
