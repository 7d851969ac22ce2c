// The `millrace` command: its subcommands, and how a failure is shown.
import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { isMillraceError, messageOf } from "../base/errors.ts";

const subcommands: Readonly<Record<string, () => Promise<Command>>> = {
  up: async () => (await import("./up/up-command.ts")).upCommand(),
  run: async () => (await import("./run/run-command.ts")).runCommand(),
  jobmanager: async () => (await import("./cluster/jobmanager-command.ts")).jobManagerCommand(),
  taskmanager: async () => (await import("./cluster/taskmanager-command.ts")).taskManagerCommand(),
  driver: async () => (await import("./driver/driver-command.ts")).driverCommand(),
  executor: async () => (await import("./frames/executor-command.ts")).executorCommand(),
  plan: async () => (await import("./plan/plan-command.ts")).planCommand(),
  app: async () => (await import("./app/app-command.ts")).appCommand(),
  savepoint: async () => (await import("./savepoint/savepoint-command.ts")).savepointCommand(),
};

/** Runs the command line; sets the exit code. Only the subcommand that is asked for is loaded, so that a job starts quickly. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command("millrace")
    .description("Streaming jobs: one dataflow, three shapes, one snapshot format")
    .version(await version())
    .showHelpAfterError();
  const asked = subcommands[argv[2] ?? ""];
  const loaders = asked === undefined ? Object.values(subcommands) : [asked];
  for (const load of loaders) program.addCommand(await load());
  try {
    await program.parseAsync([...argv]);
  } catch (error) {
    process.stderr.write(`${describeFailure(error)}\n`);
    process.exitCode = 1;
  }
}

/** An operating error is shown by its code and message; anything else with its stack, for it is a defect. */
export function describeFailure(error: unknown): string {
  if (isMillraceError(error)) return `error ${error.code}\n  ${error.message}`;
  return error instanceof Error ? `error INTERNAL\n  ${error.stack ?? error.message}` : `error INTERNAL\n  ${messageOf(error)}`;
}

async function version(): Promise<string> {
  const text = await readFile(new URL("../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { readonly version: string }).version;
}
