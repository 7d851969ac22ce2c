// A CPU profile of the thread that calls, by its own inspector.
import { Session } from "node:inspector/promises";
import { setTimeout as pause } from "node:timers/promises";

/** In the .cpuprofile format, which browsers' developer tools and flame graph viewers read. */
export async function profileThread(durationMs: number): Promise<object> {
  const session = new Session();
  session.connect();
  try {
    await session.post("Profiler.enable");
    await session.post("Profiler.start");
    await pause(durationMs);
    const { profile } = await session.post("Profiler.stop");
    return profile;
  } finally {
    session.disconnect();
  }
}
