// What a query answers over REST beside what every job does: its state, its progress, and being stopped.
import type { Hono } from "hono";
import type { StopMode } from "../../drivers/microbatch/query-state.ts";
import { requestInvalid } from "../rest/requests.ts";
import type { FramesControl } from "./frames-control.ts";

export function addFramesRoutes(app: Hono, control: FramesControl): void {
  app.get("/v1/query", (context) => context.json(control.query()));
  app.get("/v1/progress", (context) => context.json({ progress: control.progress() }));
  app.post("/v1/stop", async (context) => {
    control.stop(stopModeOf((await context.req.json().catch(() => undefined)) as unknown));
    return context.json({ stopping: true }, 202);
  });
}

/** Without a body the batch under way is finished. */
function stopModeOf(body: unknown): StopMode {
  if (body === undefined) return "batch";
  const mode = typeof body === "object" && body !== null && "mode" in body ? body.mode : "batch";
  if (mode === "batch" || mode === "immediate") return mode;
  throw requestInvalid("POST /v1/stop", "the body is not { mode }", "give mode batch or immediate");
}
