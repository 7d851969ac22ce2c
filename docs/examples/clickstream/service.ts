// A service that joins clicks with profiles, and ends in order when it is told to.
import { embedded } from "millrace/embedded";
import clickstream from "./clickstream.ts";

const {
  BROKERS = "localhost:9092",
  APPLICATION_ID = "clickstream",
  CLICKS = "clicks",
  PROFILES = "profiles",
  OUTPUT = "views",
} = process.env;

const app = embedded(clickstream, {
  applicationId: APPLICATION_ID,
  parameters: { brokers: BROKERS, clicks: CLICKS, profiles: PROFILES, output: OUTPUT },
  sessionTimeoutMs: 6000,
  // A task that fails runs again from its last commit.
  onFailure: (error, taskId) => {
    console.error(`task ${taskId}: ${String(error)}`);
    return "replace";
  },
});
app.onState((state) => console.log(state));
process.once("SIGTERM", () => {
  app.close().catch((error: unknown) => console.error(String(error)));
});
await app.start();
await app.done;
