// `millrace run --task-managers n`: the job as a cluster runs it, with JobManagers and TaskManagers as child processes of this one.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { formatDuration } from "../../base/duration.ts";
import { MillraceError, messageOf } from "../../base/errors.ts";
import type { RunStatus } from "../../drivers/continuous/job-status.ts";
import { loadJob } from "../run/load-job.ts";
import { openLog } from "../run/logging.ts";
import type { CommandFlags } from "../run/run-command.ts";
import { statusFigures, statusLine } from "../run/status-line.ts";
import { openTerminal } from "../run/terminal.ts";
import { readRunConfig } from "../run/read-config.ts";
import { tokenReader } from "../rest/auth.ts";
import { Child, type ChildNews } from "./child.ts";
import { wholeNumber } from "./cluster-config.ts";
import { stopSignal } from "./stop-signal.ts";

const statusIntervalMs = 1000;
const graceMs = 10_000;
const epochStartMs = Date.UTC(2020, 0, 1);

interface End {
  readonly outcome: string;
  readonly reason?: string;
}

/** Resolves when the job has ended or was stopped; rejects when it failed. */
export async function runLocalCluster(module: string | undefined, flags: CommandFlags): Promise<void> {
  const config = await readRunConfig(module, flags);
  const terminal = openTerminal(process.stderr, flags.status && flags.log === "text");
  const log = await openLog(flags.log, flags.logLevel, (line) => terminal.print(line));
  const dataflow = await loadJob(config.module, config.parameters);
  const taskManagers = wholeNumber(flags.taskManagers ?? "1", "--task-managers");
  const jobManagers = wholeNumber(flags.jobManagers ?? "1", "--job-managers");
  const slots = wholeNumber(flags.slots ?? String(config.slotsPerTaskManager), "--slots");
  const folder = await mkdtemp(join(tmpdir(), "millrace-run-"));
  // Without a storage of its own the job's snapshots live and go with this run.
  const storage = config.storage ?? pathToFileURL(join(folder, "snapshots")).href;
  const shared = [
    ...(flags.file === undefined ? ["--module", module as string] : ["--file", flags.file]),
    ...Object.entries(flags.param ?? {}).flatMap(([name, value]) => ["--param", `${name}=${value}`]),
    ...["--parallelism", flags.parallelism ?? String(config.parallelismGiven ?? taskManagers * slots)],
    ...["--storage", storage, "--leadership", "storage", "--leadership-dir", pathToFileURL(join(folder, "leader")).href],
    // Numbers of runs rise; a run that has ended does not start again.
    ...["--run", String(Math.floor((Date.now() - epochStartMs) / 1000))],
    ...["--log", flags.log, "--log-level", flags.logLevel],
    ...optional("--s3-endpoint", flags.s3Endpoint),
    ...optional("--checkpoint-interval", flags.checkpointInterval),
    ...optional("--state-backend", flags.stateBackend),
    ...optional("--from-savepoint", flags.fromSavepoint),
    ...(flags.allowNonRestoredState === true ? ["--allow-non-restored-state"] : []),
    ...optional("--token-file", flags.tokenFile),
    ...optional("--heartbeat-timeout", flags.heartbeatTimeout),
  ];
  const { promise: over, resolve: tellOver, reject: fail } = Promise.withResolvers<End>();
  over.catch(() => {});
  const rests = new Map<number, string>();
  const children: Child[] = [];
  const print = (line: string, stream: "stdout" | "stderr"): void => {
    if (stream === "stdout") process.stdout.write(`${line}\n`);
    else terminal.print(line);
  };
  const start = (name: string, args: readonly string[], news: (news: ChildNews) => void): void => {
    const failed = (code: number): void =>
      fail(new MillraceError("PROCESS_FAILED", name, `ended with exit code ${code}`, "see what it said above"));
    children.push(new Child({ name, args: [...args, ...shared], print, news, failed, log }));
  };
  for (let number = 0; number < jobManagers; number++) {
    const port = number === 0 ? flags.port : 0;
    const args = ["jobmanager", "--host", flags.host, "--port", String(port), "--rpc-port", "0", "--exit-at-end"];
    start(`jobmanager ${number}`, args, (news) => {
      if (news.kind === "over") return tellOver(news);
      if (number === 0 && rests.size === 0)
        log.info("job starting", { job: dataflow.name, parallelism: config.parallelism, storage, rest: news.rest });
      rests.set(number, news.rest);
    });
  }
  for (let number = 0; number < taskManagers; number++) {
    const work = join(folder, `task-manager-${number}`);
    start(
      `taskmanager ${number}`,
      ["taskmanager", "--host", flags.host, "--port", "0", "--slots", String(slots), "--work-dir", work],
      () => {},
    );
  }
  const token = tokenReader(flags.tokenFile)?.();
  const client = new LeaderClient(() => [...rests.values()], token);
  const stop = stopSignal();
  const status = showStatus(client, terminal, dataflow.name);
  const startedMs = performance.now();
  let result: { readonly message: string; readonly records: number; readonly took: string };
  try {
    const first = await Promise.race([over, stop.asked]);
    if (first === "stop") {
      log.info("stopping with a last checkpoint", {});
      await client.stop();
    }
    const { outcome, reason } = await over;
    await status.refresh();
    status.end();
    if (outcome === "failed")
      throw new MillraceError("JOB_FAILED", dataflow.name, reason ?? "it failed", "mend the cause and start it again");
    const last = status.last();
    const records = last === undefined ? 0 : statusFigures(last, undefined, 0, Date.now()).records;
    result = {
      message: outcome === "ended" ? "job finished" : `job ${outcome}`,
      records,
      took: formatDuration(performance.now() - startedMs),
    };
  } finally {
    status.end();
    stop.release();
    await Promise.all(children.map((child) => child.stop(graceMs)));
    await rm(folder, { recursive: true, force: true });
  }
  // After the children's last words, which it sums up.
  const { message, ...figures } = result;
  log.info(message, figures);
}

function optional(name: string, value: string | undefined): readonly string[] {
  return value === undefined ? [] : [name, value];
}

/** Asks whichever JobManager leads. */
class LeaderClient {
  readonly #rests: () => readonly string[];
  readonly #headers: Readonly<Record<string, string>>;

  constructor(rests: () => readonly string[], token: string | undefined) {
    this.#rests = rests;
    this.#headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  }

  async processing(): Promise<RunStatus | undefined> {
    const answer = (await this.#ask("GET", "/v1/job")) as { readonly processing?: RunStatus | null } | undefined;
    return answer?.processing ?? undefined;
  }

  /** Tried until a leader has taken it. */
  async stop(): Promise<void> {
    while ((await this.#ask("POST", "/v1/job/stop")) === undefined) await new Promise((resolve) => setTimeout(resolve, 200));
  }

  async #ask(method: string, path: string): Promise<object | undefined> {
    for (const rest of this.#rests()) {
      try {
        const response = await fetch(`${rest}${path}`, { method, headers: this.#headers, signal: AbortSignal.timeout(2000) });
        if (response.ok) return (await response.json()) as object;
      } catch (error) {
        // It is starting, or gone: another one may answer.
        if (messageOf(error) === "") throw error;
      }
    }
    return undefined;
  }
}

function showStatus(
  client: LeaderClient,
  terminal: ReturnType<typeof openTerminal>,
  name: string,
): { end(): void; refresh(): Promise<void>; last(): RunStatus | undefined } {
  let before: RunStatus | undefined;
  let beforeMs = performance.now();
  let asking = false;
  const look = async (): Promise<void> => {
    const now = await client.processing();
    const nowMs = performance.now();
    if (now !== undefined) {
      if (terminal.isLive) terminal.live(statusLine(name, statusFigures(now, before, nowMs - beforeMs, Date.now()), terminal.columns));
      before = now;
      beforeMs = nowMs;
    }
  };
  const timer = setInterval(() => {
    if (asking) return;
    asking = true;
    look()
      .catch(() => {})
      .finally(() => {
        asking = false;
      });
  }, statusIntervalMs);
  return {
    end() {
      clearInterval(timer);
      terminal.end();
    },
    refresh: look,
    last: () => before,
  };
}
