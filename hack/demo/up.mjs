// Runs the flights job with `millrace up`, as a person would: a manifest is written, its changes are brought out, and its JobManager answers.
import { spawn } from "node:child_process";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";
import { parse, stringify } from "yaml";

/** `say` gets every line that the command says to people. */
export function startUp({ root, folder, say }) {
  const file = `${folder}/flights.yaml`;
  const apply = (example, rate) => {
    const manifest = parse(readFileSync(`${root}docs/examples/flights/${example}`, "utf8"));
    const { job, checkpoints } = manifest.spec;
    job.module = `${root}docs/examples/flights/${job.module}`;
    job.parameters = { input: `${folder}/input`, output: `${folder}/output`, rate: String(rate) };
    checkpoints.storage = pathToFileURL(`${folder}/snapshots`).href;
    // In one step: nobody reads half of it.
    writeFileSync(`${file}.new`, stringify(manifest));
    renameSync(`${file}.new`, file);
  };

  const lines = [];
  const waiting = new Set();
  const jobManagers = [];
  const start = () => {
    const args = [`${root}runtime/bin/millrace.js`, "up", "-f", file, "--folder", `${folder}/up`, "--exit-at-end"];
    const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
    process.once("exit", () => child.kill("SIGTERM"));
    createInterface({ input: child.stdout }).on("line", (line) => {
      lines.push(line);
      const found = /JobManager: run (\d+) at (\S+), token in (.+)$/.exec(line);
      if (found !== null) jobManagers.unshift({ run: Number(found[1]), url: found[2], token: readFileSync(found[3], "utf8") });
      else say(line);
      for (const look of waiting) look(line);
    });
    return new Promise((resolve) => child.once("exit", resolve));
  };

  /** Resolves with what matched in a line, from the first one on; rejects when the command ends before. */
  const said = (pattern) =>
    new Promise((resolve, reject) => {
      const look = (line) => {
        const found = pattern.exec(line);
        if (found === null) return;
        waiting.delete(look);
        resolve(found);
      };
      waiting.add(look);
      lines.forEach(look);
      const ended = (code) => reject(new Error(`millrace up ended with exit code ${code} before it said ${pattern}:\n${lines.join("\n")}`));
      exited.then(ended, reject);
    });

  // Whoever leads the newest run that processes; undefined between two runs.
  const status = async () => {
    for (const { run, url, token } of jobManagers) {
      const headers = { authorization: `Bearer ${token}` };
      const response = await fetch(`${url}/v1/job`, { headers }).catch(() => undefined);
      if (response === undefined || !response.ok) continue;
      const { processing, state, lastCheckpoint, parallelism } = await response.json();
      if (state === "standby" || processing === null || processing === undefined) continue;
      const rows = (uid) => processing.operators.find((one) => one.uid === uid)?.subtasks.reduce((sum, { rowsIn }) => sum + rowsIn, 0) ?? 0;
      return {
        run,
        state,
        parallelism,
        records: rows("flights"),
        late: rows("late-files"),
        stateBytes: processing.state.memoryBytes,
        checkpoint: lastCheckpoint,
      };
    }
    return undefined;
  };

  let exited = Promise.resolve();
  return {
    apply,
    start: () => {
      exited = start();
    },
    said,
    status,
    get exited() {
      return exited;
    },
  };
}
