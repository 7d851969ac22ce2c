// Runs the flights job with the `millrace` command, as a person would, and talks to its REST API.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

export async function startJob({ root, folder, manifest, storage, rate, fromSavepoint }) {
  const args = [
    `${root}runtime/bin/millrace.js`,
    "run",
    ...["-f", `${root}docs/examples/flights/${manifest}`],
    ...["--storage", pathToFileURL(`${folder}/${storage}`).href],
    ...["--param", `input=${folder}/input`, "--param", `output=${folder}/output`, "--param", `rate=${rate}`],
    ...["--port", "0", "--log", "json"],
    ...(fromSavepoint === undefined ? [] : ["--from-savepoint", fromSavepoint]),
  ];
  const child = spawn(process.execPath, args, { cwd: root, stdio: ["ignore", "pipe", "inherit"] });
  process.once("exit", () => child.kill("SIGKILL"));
  const exited = new Promise((resolve) => child.once("exit", resolve));
  const log = [];
  const url = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      log.push(line);
      const entry = JSON.parse(line);
      if (entry.rest !== undefined) resolve(entry.rest);
      if (entry.level === "warn" || entry.level === "error") process.stdout.write(`${line}\n`);
    });
    child.once("exit", (code) => reject(new Error(`the job ended with exit code ${code} before it ran:\n${log.join("\n")}`)));
  });
  const status = async () => {
    const response = await fetch(`${url}/v1/job`).catch(() => undefined);
    if (response === undefined) return undefined;
    const { processing: run, state } = await response.json();
    if (run === null) return { state, records: 0, lag: 0 };
    const source = run.operators.find((operator) => operator.uid === "flights");
    return {
      state,
      records: source.subtasks.reduce((sum, subtask) => sum + subtask.rowsIn, 0),
      late: run.operators.find((operator) => operator.uid === "late-files").subtasks.reduce((sum, subtask) => sum + subtask.rowsIn, 0),
      stateBytes: run.state.memoryBytes,
      checkpoint: run.lastCheckpoint,
    };
  };
  while ((await status())?.state !== "running") {
    const ended = await Promise.race([exited, new Promise((resolve) => setTimeout(() => resolve("wait"), 20))]);
    if (ended !== "wait") throw new Error(`the job ended with exit code ${ended}:\n${log.join("\n")}`);
  }
  return {
    exited,
    status,
    async savepoint(id, mode) {
      const response = await fetch(`${url}/v1/savepoints?wait=120s`, {
        method: "POST",
        body: JSON.stringify({ id, mode }),
        headers: { "content-type": "application/json" },
      });
      const body = await response.json();
      if (!response.ok) throw new Error(`${body.code}: ${body.message}`);
      return body;
    },
  };
}
