// A helper process of the benchmarks: started with arguments, heard line by line.
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

export interface HelperProcess {
  /** Settles when the process printed this line, or ended well. */
  line(text: string): Promise<void>;
  /** The last line that it prints; rejects when it fails. */
  readonly last: Promise<string>;
}

/** Starts a module of this folder. */
export function startProcess(name: string, given: readonly string[]): HelperProcess {
  const started = spawn(process.execPath, [fileURLToPath(new URL(name, import.meta.url)), ...given], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  const lines = createInterface({ input: started.stdout });
  let latest = "";
  const waiting = new Map<string, () => void>();
  lines.on("line", (text) => {
    latest = text;
    waiting.get(text)?.();
  });
  const last = new Promise<string>((resolve, reject) => {
    started.once("error", reject);
    started.once("close", (code) => (code === 0 ? resolve(latest) : reject(new Error(`${name} ended with ${code}`))));
  });
  // Whoever awaits `last` is told; until then a failure must not count as unhandled.
  last.catch(() => undefined);
  return { last, line: (text) => Promise.race([new Promise<void>((resolve) => waiting.set(text, resolve)), last.then(() => undefined)]) };
}
