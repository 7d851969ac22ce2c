// An ordinary service with a job inside: it counts words beside whatever else it does, and answers probes and queries over HTTP.
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
  http: { port: Number(PORT) },
  log,
  ...(INSTANCE_ID === undefined ? {} : { instanceId: INSTANCE_ID }),
  ...(STATE_DIRECTORY === undefined ? {} : { stateDirectory: STATE_DIRECTORY }),
});
app.onState((state, before) => log.info("state", { state, before }));

process.once("SIGTERM", () => {
  app.close().catch((error: unknown) => log.error("close failed", { reason: String(error) }));
});
await app.start();
log.info("listens", { url: app.url });
await app.done;
