// A process in a container that is smaller than its state: it captures, writes and restores that state within its limit, and every key is found again.
// `node test/chaos/memory-limit.ts [--limit-mb 288] [--keys 400000] [--note-length 900]`. Needs the right to make control groups.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { limitedGroup } from "../bench/memory-cgroup.ts";
import { OwnChildren } from "./own-children.ts";

const { values: options } = parseArgs({
  options: {
    "limit-mb": { type: "string", default: "288" },
    keys: { type: "string", default: "400000" },
    "note-length": { type: "string", default: "900" },
  },
});
const mebibyte = 2 ** 20;
const [limitMb, keys, noteLength] = [Number(options["limit-mb"]), Number(options.keys), Number(options["note-length"])];
const keysPerLine = 20;
const root = fileURLToPath(new URL("../..", import.meta.url));
const say = (text: string): void => void process.stdout.write(`${text}\n`);

const folder = mkdtempSync(join(tmpdir(), "millrace-memory-limit-"));
const [input, output] = [join(folder, "input"), join(folder, "output")];

const children = new OwnChildren();

/** Every key once. The second process begins with what the first one left. */
async function pass(name: string): Promise<boolean> {
  const lines = Array.from({ length: keys / keysPerLine }, (_, index) => `{"from":${index * keysPerLine},"keys":${keysPerLine}}\n`);
  writeFileSync(join(input, `${name}.ndjson`), lines.join(""));
  const group = limitedGroup(`millrace-memory-${process.pid}-${name}`, limitMb * mebibyte);
  try {
    const given = { input, output, noteLength: String(noteLength) };
    const [program = "", ...line] = group.inside([
      ...[process.execPath, "runtime/bin/millrace.js", "run", "test/chaos/memory-limit-job.ts"],
      ...Object.entries(given).flatMap(([parameter, value]) => ["--param", `${parameter}=${value}`]),
      ...["--state-backend", "rocksdb", "--storage", pathToFileURL(join(folder, "snapshots")).href, "--port", "0", "--log", "json"],
    ]);
    const startedMs = performance.now();
    const env = { ...process.env, NODE_OPTIONS: "--max-semi-space-size=8" };
    const child = children.add(spawn(program, line, { cwd: root, stdio: ["ignore", "pipe", "pipe"], env }));
    let text = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (more: string) => (text += more));
    const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    say(`${name} pass: exit ${code}, ${group.killed ? "KILLED for its memory" : "within its memory"}, ${seconds} s`);
    if (code !== 0) say(text.slice(-4000));
    return code === 0 && !group.killed;
  } finally {
    group.remove();
  }
}

function found(): readonly number[] {
  const files = readdirSync(output, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".ndjson"));
  const ids = files.flatMap((name) => Array.from(readFileSync(join(output, name), "utf8").matchAll(/"id":(\d+)/g), ([, id]) => Number(id)));
  return ids.toSorted((a, b) => a - b);
}

try {
  mkdirSync(input);
  say(`${keys} keys, ${Math.round((keys * noteLength) / mebibyte)} MiB of state, in a container of ${limitMb} MiB`);
  const ended = (await pass("first")) && (await pass("second"));
  const ids = ended ? found() : [];
  const exact = ids.length === keys && ids.every((id, index) => id === index);
  say(ended ? `${ids.length} keys found again, ${exact ? "each once: passed" : "NOT EXACT"}` : "FAILED");
  process.exitCode = exact ? 0 : 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
