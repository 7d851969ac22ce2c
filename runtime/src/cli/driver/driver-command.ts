// `millrace driver`: the driver of a MicroBatchJob as the operator runs it: one run, known by its number, which ends with its process.
import { Command, Option } from "commander";
import { parsePort } from "../cluster/jobmanager-command.ts";
import type { RunFlags } from "../run/run-config.ts";

export interface DriverFlags extends RunFlags {
  readonly file: string;
  readonly host: string;
  readonly port: number;
  readonly run?: string;
  readonly tokenFile?: string;
  readonly terminationLog?: string;
  readonly log: "text" | "json";
  readonly logLevel: "debug" | "info" | "warn" | "error";
}

export function driverCommand(): Command {
  return new Command("driver")
    .description("run a query in batches as one numbered run of it; a run with a higher number takes it over")
    .requiredOption("-f, --file <manifest>", "a MicroBatchJob manifest")
    .option("--run <n>", "the number of this run (MILLRACE_RUN); numbers only rise. Default 1")
    .option("--host <address>", "where the REST API listens", "127.0.0.1")
    .option("--port <n>", "port of the REST API and metrics; 0 chooses a free one", parsePort, 8081)
    .option("--token-file <path>", "a file with the bearer token of the REST API (MILLRACE_TOKEN_FILE)")
    .option("--termination-log <path>", "where to write how the run ended, as JSON (MILLRACE_TERMINATION_LOG)")
    .addOption(new Option("--log <format>", "format of the log").choices(["text", "json"]).default("text"))
    .addOption(new Option("--log-level <level>", "what is logged").choices(["debug", "info", "warn", "error"]).default("info"))
    .action(async (flags: DriverFlags) => {
      const { runDriver } = await import("./run-driver.ts");
      await runDriver(flags);
    });
}
