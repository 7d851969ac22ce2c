// `millrace up`: the operator on this machine. It runs a manifest with pods as processes, and brings out every change of the file.
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, Option } from "commander";
import type { EmbeddedStreamAppManifest, MicroBatchJobManifest, StreamJobManifest } from "../../api/index.ts";
import { MillraceError } from "../../base/errors.ts";
import { loadAnyManifest } from "../manifest/load-manifest.ts";
import { openLog } from "../run/logging.ts";

interface UpFlags {
  readonly file: string;
  readonly folder?: string;
  readonly exitAtEnd?: true;
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

interface OperatorModule {
  up(options: {
    readonly file: string;
    readonly load: () => Promise<StreamJobManifest | MicroBatchJobManifest | EmbeddedStreamAppManifest>;
    readonly command: readonly string[];
    readonly folder: string;
    readonly signal: AbortSignal;
    readonly exitAtEnd: boolean;
    readonly say: (line: string) => void;
    readonly log: object;
  }): Promise<string>;
}

export function upCommand(): Command {
  return new Command("up")
    .description("run a manifest with its pods as processes, and upgrade with a savepoint whenever the file changes")
    .requiredOption("-f, --file <manifest>", "a manifest of a StreamJob, a MicroBatchJob or an EmbeddedStreamApp")
    .option("--folder <path>", "where processes keep logs, leadership and, unless the manifest says, snapshots; default .millrace/up/NAME")
    .option("--exit-at-end", "end when the job has read all of its input, or a MicroBatchJob has failed for good")
    .addOption(new Option("--log-level <level>", "what the operator logs").choices(["debug", "info", "warn", "error"]).default("warn"))
    .action(runUp);
}

async function runUp(flags: UpFlags): Promise<void> {
  const file = resolve(flags.file);
  const { metadata } = await loadAnyManifest(file);
  const folder = resolve(flags.folder ?? `.millrace/up/${metadata.name}`);
  const stop = new AbortController();
  let asked = false;
  const listener = (): void => {
    if (asked) process.exit(130);
    asked = true;
    stop.abort();
  };
  process.on("SIGTERM", listener).on("SIGINT", listener);
  const operator = await loadOperator();
  const log = await openLog("text", flags.logLevel, (line) => process.stderr.write(`${line}\n`));
  try {
    const state = await operator.up({
      file,
      folder,
      load: () => loadAnyManifest(file),
      command: [process.execPath, fileURLToPath(new URL("../../../bin/millrace.js", import.meta.url))],
      signal: stop.signal,
      exitAtEnd: flags.exitAtEnd === true,
      say: (line) => process.stdout.write(`${line}\n`),
      log,
    });
    if (state === "Failed") process.exitCode = 1;
  } finally {
    process.off("SIGTERM", listener).off("SIGINT", listener);
  }
}

// The operator is a program of its own, built into the package beside the runtime.
async function loadOperator(): Promise<OperatorModule> {
  const url = new URL("../../operator/local/up.js", import.meta.url);
  try {
    return (await import(url.href)) as OperatorModule;
  } catch (cause) {
    throw new MillraceError(
      "OPERATOR_MISSING",
      "millrace up",
      "the operator is not part of this installation",
      "install millrace anew, or run npm run build",
      {
        cause,
      },
    );
  }
}
