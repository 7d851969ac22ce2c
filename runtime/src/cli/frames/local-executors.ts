// `millrace run --executors n`: executors of a query as child processes of its driver, started again when they are killed.
import { join } from "node:path";
import type { Log } from "../../base/log.ts";
import { Child } from "../cluster/child.ts";
import type { CommandFlags } from "../run/run-command.ts";
import type { RunConfig } from "../run/run-config.ts";
import type { Terminal } from "../run/terminal.ts";

const graceMs = 10_000;

export interface LocalExecutorsParts {
  readonly count: number;
  /** host:port of the driver. */
  readonly driver: string;
  readonly module: string | undefined;
  readonly flags: CommandFlags;
  readonly config: RunConfig;
  readonly storage: string;
  readonly directory: string;
  readonly terminal: Terminal;
  readonly log: Log;
  readonly failed: (name: string, code: number) => void;
}

/** Returns what ends them. */
export function startLocalExecutors(parts: LocalExecutorsParts): () => Promise<void> {
  const { count, driver, module, flags, config, storage, directory, terminal, log, failed } = parts;
  const optional = (name: string, value: string | undefined): readonly string[] => (value === undefined ? [] : [name, value]);
  const shared = [
    ...(flags.file === undefined ? ["--module", module as string] : ["--file", flags.file]),
    ...Object.entries(flags.param ?? {}).flatMap(([name, value]) => ["--param", `${name}=${value}`]),
    ...["--storage", storage, "--parallelism", String(config.parallelism), "--driver", driver],
    ...[
      "--host",
      flags.host,
      "--port",
      "0",
      "--exchange-port",
      "0",
      "--decommission-timeout",
      "5 s",
      "--log",
      flags.log,
      "--log-level",
      flags.logLevel,
    ],
    // Said here, so that an operator's variable in this shell is not taken for the number of this run.
    ...["--run", "1"],
    ...optional("--s3-endpoint", flags.s3Endpoint),
    ...optional("--state-backend", flags.stateBackend),
    ...optional("--token-file", flags.tokenFile),
    ...optional("--heartbeat-timeout", flags.heartbeatTimeout),
    ...optional("--slots", flags.slots),
  ];
  const print = (line: string, stream: "stdout" | "stderr"): void => {
    if (stream === "stdout") process.stdout.write(`${line}\n`);
    else terminal.print(line);
  };
  const children = Array.from({ length: count }, (_, number) => {
    const name = `executor ${number}`;
    const args = ["executor", "--work-dir", join(directory, `executor-${number}`), ...shared];
    return new Child({ name, args, print, news: () => {}, failed: (code) => failed(name, code), log });
  });
  return async () => {
    await Promise.all(children.map((child) => child.stop(graceMs)));
  };
}
