// The `millrace` command: its subcommands, and how a failure is shown.
import { readFile } from "node:fs/promises";
import { Command } from "commander";
import { isMillraceError, messageOf } from "../base/errors.ts";

/** Runs the command line; sets the exit code. Subcommands load what they need when they run. */
export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command("millrace")
    .description("Streaming jobs: one dataflow, three shapes, one snapshot format")
    .version(await version())
    .showHelpAfterError()
    .configureHelp({ sortSubcommands: false });
  const { runCommand } = await import("./run/run-command.ts");
  const { planCommand } = await import("./plan/plan-command.ts");
  const { savepointCommand } = await import("./savepoint/savepoint-command.ts");
  program.addCommand(runCommand()).addCommand(planCommand()).addCommand(savepointCommand());
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
