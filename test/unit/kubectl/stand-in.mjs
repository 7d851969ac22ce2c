#!/usr/bin/env node
// A kubectl that answers from a file: a map of the start of a command line to what it prints. What it was called with goes to another file.
import { appendFileSync, readFileSync } from "node:fs";

const line = process.argv.slice(2).join(" ");
const input = line.includes("-f -") ? readFileSync(0, "utf8") : "";
appendFileSync(process.env.STAND_IN_CALLS, `${JSON.stringify({ line, input })}\n`);
const answers = JSON.parse(readFileSync(process.env.STAND_IN_ANSWERS, "utf8"));
const found = Object.keys(answers).find((start) => line.startsWith(start));
if (found === undefined) {
  process.stderr.write(`Error from server (NotFound): nothing is there for: ${line}\n`);
  process.exitCode = 1;
} else if (answers[found].error !== undefined) {
  process.stderr.write(`${answers[found].error}\n`);
  process.exitCode = 1;
} else {
  process.stdout.write(typeof answers[found] === "string" ? answers[found] : JSON.stringify(answers[found]));
}
