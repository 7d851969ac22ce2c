// An ordinary service with a job inside: it counts words beside whatever else it does, and says over HTTP whether it is ready.
import { createServer } from "node:http";
import { embedded, type Log, type LogFields } from "millrace/embedded";
import wordCount from "./word-count.ts";

const {
  BROKERS = "localhost:9092",
  APPLICATION_ID = "word-count",
  INPUT = "lines",
  OUTPUT = "counts",
  INSTANCE_ID,
  STATE_DIRECTORY,
  PORT = "8080",
} = process.env;

const write = (level: string, message: string, fields: LogFields = {}): void => console.log(JSON.stringify({ level, message, ...fields }));
const log: Log = {
  debug: () => undefined,
  info: (message, fields) => write("info", message, fields),
  warn: (message, fields) => write("warn", message, fields),
  error: (message, fields) => write("error", message, fields),
  child: () => log,
};

const app = embedded(wordCount, {
  applicationId: APPLICATION_ID,
  parameters: { brokers: BROKERS, input: INPUT, output: OUTPUT },
  sessionTimeoutMs: 6000,
  log,
  ...(INSTANCE_ID === undefined ? {} : { instanceId: INSTANCE_ID }),
  ...(STATE_DIRECTORY === undefined ? {} : { stateDirectory: STATE_DIRECTORY }),
});
app.onState((state, before) => log.info("state", { state, before }));

const server = createServer((request, response) => {
  const health = app.health();
  response.writeHead(request.url === "/ready" && !health.ready ? 503 : 200, { "content-type": "application/json" });
  response.end(JSON.stringify(health));
});
server.listen(Number(PORT), "127.0.0.1");

process.once("SIGTERM", () => {
  app.close().catch((error: unknown) => log.error("close failed", { reason: String(error) }));
});
try {
  await app.start();
  await app.done;
} finally {
  server.close();
}
