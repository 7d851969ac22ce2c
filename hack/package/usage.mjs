// What is installed works without anything else: every entry loads, the command runs a job, and what needs an optional peer says so.
import { spawnSync } from "node:child_process";
import { globSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const sales = [
  { shop: "north", cents: 3 },
  { shop: "south", cents: 5 },
  { shop: "north", cents: 4 },
];
const revenue = { north: 7, south: 5 };

const jobText = (place) => `import { filesSink, int53, job, json, schema, string, sum, tumbling, timestamp, values } from "millrace";
const Sale = schema({ shop: string(), cents: int53(), at: timestamp() });
const rows = ${JSON.stringify(sales)}.map((sale) => ({ ...sale, at: 1000 }));
export default job("tried", (flow) => {
  flow
    .source("sales", values(Sale, rows), { time: "at" })
    .keyBy("shop")
    .window(tumbling("1 min"))
    .aggregate({ revenue: sum("cents") }, { uid: "per-shop" })
    .to("out", filesSink({ path: ${JSON.stringify(place)}, format: json() }));
});
`;

/** Problems, one line each; none when all is well. */
export function usage(user, print) {
  const node = (args) => spawnSync(process.execPath, args, { cwd: user, encoding: "utf8", timeout: 120_000 });
  const installed = join(user, "node_modules/millrace");
  const millrace = (...args) => node([join(installed, "bin/millrace.js"), ...args]);
  const problems = [];

  const { exports } = JSON.parse(readFileSync(join(installed, "package.json"), "utf8"));
  const entries = Object.keys(exports).filter((entry) => !entry.endsWith(".json"));
  for (const entry of entries) {
    const { status, stderr } = node(["--input-type=module", "-e", `await import("millrace${entry.slice(1)}")`]);
    if (status !== 0) problems.push(`import "millrace${entry.slice(1)}" fails: ${stderr.trim()}`);
  }
  print(`entries of exports: ${entries.length}`);

  const help = millrace("--help");
  if (help.status !== 0 || !help.stdout.includes("Usage: millrace")) problems.push(`millrace --help fails: ${help.stderr.trim()}`);

  const output = join(user, "out");
  writeFileSync(join(user, "job.ts"), jobText(output));
  const runJob = (...more) => {
    const storage = pathToFileURL(join(user, `snapshots-${more.at(-1) ?? "memory"}`)).href;
    return millrace("run", "job.ts", "--port", "0", "--no-status", "--storage", storage, ...more);
  };
  const rocks = runJob("--state-backend", "rocksdb");
  if (rocks.status === 0 || !/DEPENDENCY_MISSING[\s\S]*npm install @nxtedition\/rocksdb@\d/.test(rocks.stderr)) {
    problems.push(`a job on RocksDB does not say that the package is missing, but: ${rocks.stderr.trim()}`);
  }
  const memory = runJob();
  if (memory.status !== 0) return [...problems, `millrace run fails: ${memory.stderr.trim()}`];
  const lines = globSync("**/*", { cwd: output })
    .filter((name) => /\.(nd)?jsonl?$/.test(name))
    .flatMap((name) => readFileSync(join(output, name), "utf8").trim().split("\n"))
    .map((line) => JSON.parse(line));
  const seen = Object.fromEntries(lines.map((row) => [row.shop, row.revenue]).sort());
  if (JSON.stringify(seen) !== JSON.stringify(revenue)) problems.push(`millrace run gives ${JSON.stringify(lines)}`);
  print("jobs: state in memory runs, RocksDB names the package to install");
  return problems;
}
