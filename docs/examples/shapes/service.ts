// The same job inside a service, which may begin from a savepoint of a cluster, and from one of whose savepoints a cluster may begin.
import { embedded } from "millrace/embedded";
import spending from "./spending.ts";

const {
  APPLICATION_ID = "spending",
  BROKERS = "localhost:9092",
  INPUT = "payments",
  OUTPUT = "totals",
  QUIET = "quiet",
  STORAGE = "file:///var/lib/savepoints",
  FROM_SAVEPOINT,
  PORT = "8081",
} = process.env;

// #region shape
const app = embedded(spending, {
  applicationId: APPLICATION_ID,
  parameters: { brokers: BROKERS, input: INPUT, output: OUTPUT, quiet: QUIET },
  savepointStorage: STORAGE,
  ...(FROM_SAVEPOINT === undefined ? {} : { fromSavepoint: FROM_SAVEPOINT }),
  http: { port: Number(PORT) },
  sessionTimeoutMs: 6000,
});
// #endregion
process.once("SIGTERM", () => {
  app.close().catch((error: unknown) => console.error(String(error)));
});
await app.start();
console.log(`listens on ${app.url}`);
await app.done;
