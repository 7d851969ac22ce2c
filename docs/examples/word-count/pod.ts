// The same job as a service for pods: everything that differs from pod to pod comes from the environment that the operator gives it.
import { embedded, environmentConfig } from "millrace/embedded";
import wordCount from "./word-count.ts";

const app = embedded(wordCount, environmentConfig());
app.onState((state) => console.log(state));
process.once("SIGTERM", () => {
  app.close().catch((error: unknown) => console.error(String(error)));
});
await app.start();
await app.done;
