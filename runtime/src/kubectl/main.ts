// The command line of `kubectl millrace`.
import { Command } from "commander";
import { parseDuration } from "../base/duration.ts";
import { isMillraceError, MillraceError } from "../base/errors.ts";
import { rollBack, setSuspended, takeSavepoint } from "./commands/change.ts";
import { type LogOptions, showGraph, showLogs, showStatus } from "./commands/show.ts";
import { type KubectlOptions, kubectlOf } from "./kubectl.ts";
import { streamJob } from "./objects.ts";
import { type Goal, goals, judge, machineClock, waitFor } from "./waiting.ts";

interface WaitFlags {
  readonly wait: boolean;
  readonly timeout: string;
}

const changeOf = ({ wait, timeout }: WaitFlags): { readonly wait: boolean; readonly timeoutMs: number } => ({
  wait,
  timeoutMs: parseDuration(timeout, "--timeout"),
});
const print = (text: string): void => void process.stdout.write(text);

export async function main(argv: readonly string[]): Promise<void> {
  const program = new Command("kubectl-millrace")
    .description("Looks after the jobs of Millrace: kubectl millrace COMMAND")
    .option("-n, --namespace <name>", "namespace; default that of the context")
    .option("--context <name>", "context of the kubeconfig")
    .option("--kubeconfig <file>", "kubeconfig");
  const kubectl = (): ReturnType<typeof kubectlOf> => kubectlOf(program.opts<KubectlOptions>());
  const change = (command: Command): Command =>
    command.option("--no-wait", "return at once").option("--timeout <duration>", "how long to wait", "10 min");

  program
    .command("status <job>")
    .description("one screen: state, dataflow with rates and lag, checkpoints, revisions, savepoints")
    .action(async (job: string) => print(await showStatus(kubectl(), job, machineClock)));
  program
    .command("graph <job>")
    .description("the dataflow that runs")
    .option("--mermaid", "as a drawing in Mermaid")
    .action(async (job: string, options: { readonly mermaid?: boolean }) => print(await showGraph(kubectl(), job, options)));
  program
    .command("logs <job>")
    .description("the logs of the job's pods")
    .option("--component <name>", "only jobmanager or taskmanager")
    .option("-f, --follow", "go on")
    .option("-p, --previous", "of the containers before")
    .option("--tail <lines>", "how many lines of each")
    .action((job: string, options: LogOptions) => showLogs(kubectl(), job, options));
  change(program.command("savepoint <job>"))
    .description("take a savepoint")
    .option("--name <name>", "name of the Savepoint")
    .action(async (job: string, options: WaitFlags & { readonly name?: string }) =>
      print(await takeSavepoint(kubectl(), job, options.name ?? `${job}-${machineClock.nowMs().toString(36)}`, changeOf(options))),
    );
  change(program.command("rollback <job>"))
    .description("go back to an earlier revision, with the state")
    .option("--to <revision>", "its name or number; default the newest one that does not run")
    .action(async (job: string, options: WaitFlags & { readonly to?: string }) =>
      print(await rollBack(kubectl(), job, options.to, changeOf(options))),
    );
  for (const [name, suspend, what] of [
    ["suspend", true, "end the pods and keep the state"],
    ["resume", false, "start again from where it was suspended"],
  ] as const) {
    change(program.command(`${name} <job>`))
      .description(what)
      .action(async (job: string, options: WaitFlags) => print(await setSuspended(kubectl(), job, suspend, changeOf(options))));
  }
  program
    .command("wait <job>")
    .description(`wait until the job is ${goals.join(", ")}; ends with 1 when it is not in time, or will not be`)
    .option("--for <goal>", "what to wait for", "ready")
    .option("--timeout <duration>", "how long to wait", "10 min")
    .action(async (job: string, options: { readonly for: string; readonly timeout: string }) => {
      const goal = goals.find((one): one is Goal => one === options.for);
      if (goal === undefined) {
        throw new MillraceError(
          "OPTION_INVALID",
          "--for",
          `"${options.for}" is not something to wait for`,
          `give one of ${goals.join(", ")}`,
        );
      }
      const look = async (): Promise<ReturnType<typeof judge>> => judge(await streamJob(kubectl(), job), goal);
      await waitFor(job, goal, look, parseDuration(options.timeout, "--timeout"));
      print(`${job} is ${goal}\n`);
    });

  try {
    await program.parseAsync(argv);
  } catch (error) {
    process.stderr.write(
      `${isMillraceError(error) ? error.message : error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
    );
    process.exitCode = 1;
  }
}
