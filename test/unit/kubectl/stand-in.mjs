#!/usr/bin/env node
// A kubectl that answers from a file: a map of the start of a command line to what it prints. What it was called with goes to another file.
import { appendFileSync, readFileSync } from "node:fs";

const asks = {};
const line = process.argv.slice(2).join(" ");
const input = line.includes("-f -") ? readFileSync(0, "utf8") : "";
appendFileSync(process.env.STAND_IN_CALLS, `${JSON.stringify({ line, input })}\n`);
// A forwarded port is a server whose answers are in the file too.
if (line.startsWith("port-forward")) {
  const { createServer } = await import("node:http");
  const server = createServer((request, response) => {
    const answers = JSON.parse(readFileSync(process.env.STAND_IN_ANSWERS, "utf8"));
    const key = `${request.headers.authorization} ${line.split(" ")[1]} ${request.url}`;
    // Each request is answered by the next of the list, the last one stays.
    const list = [answers[key]].flat();
    const asked = (asks[key] = (asks[key] ?? -1) + 1);
    const answer = list[Math.min(asked, list.length - 1)];
    response.statusCode = answer === undefined ? 421 : 200;
    response.end(JSON.stringify(answer ?? { code: "NOT_LEADER" }));
  });
  server.listen(0, "127.0.0.1", () => process.stdout.write(`Forwarding from 127.0.0.1:${server.address().port} -> 8081\n`));
  await new Promise(() => {});
}
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
