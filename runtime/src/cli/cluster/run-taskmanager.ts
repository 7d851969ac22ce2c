// Runs a TaskManager until it is told to stop.
import { lookup } from "node:dns/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/clock.ts";
import { parseDuration } from "../../base/duration.ts";
import { messageOf, MillraceError } from "../../base/errors.ts";
import type { Log } from "../../base/log.ts";
import { TlsFiles } from "../../drivers/tls/tls-files.ts";
import { TaskManager } from "../../drivers/cluster/task-manager/task-manager.ts";
import { defaultExchange } from "../../drivers/exchange/exchange.ts";
import { tokenReader } from "../rest/auth.ts";
import { loadJob } from "../run/load-job.ts";
import { openLog } from "../run/logging.ts";
import { slotShare } from "../run/run-config.ts";
import { openSlots } from "../slot/open-slots.ts";
import { type ClusterConfig, readClusterConfig, wholeNumber } from "./cluster-config.ts";
import { startHealthServer } from "./health-server.ts";
import { addressOf } from "../../drivers/cluster/leadership/lease.ts";
import { openLease } from "./open-lease.ts";
import { openPrefetch } from "./prefetch-ahead.ts";
import { stopSignal } from "./stop-signal.ts";
import type { TaskManagerFlags } from "./taskmanager-command.ts";

const steadyClock: Clock = { now: () => performance.now(), after: (delayMs, callback) => systemClock.after(delayMs, callback) };
const connectTimeoutMs = 3000;

export async function runTaskManager(flags: TaskManagerFlags): Promise<void> {
  const config = await readClusterConfig(flags, process.env);
  const { run, instance } = config;
  const log = (await openLog(flags.log, flags.logLevel, (line) => process.stderr.write(`${line}\n`))).child({ process: "taskmanager" });
  // Loaded here too, so that a module that is no good is told before a slot is offered.
  const dataflow = await loadJob(run.module, run.parameters);
  const token = tokenReader(config.tokenFile)?.();
  const tls = config.tlsDir === undefined ? undefined : TlsFiles.open(config.tlsDir, log);
  const slots = wholeNumber(flags.slots ?? process.env["MILLRACE_SLOTS"] ?? String(run.slotsPerTaskManager), "--slots");
  const directory = join(flags.workDir ?? tmpdir(), `millrace-${instance}`);
  const ahead = config.standby ? await openPrefetch(run, dataflow.name, `${directory}-copies`, log) : undefined;
  const leaders = await leaderFinder(flags.jobmanagers ?? process.env["MILLRACE_JOBMANAGERS"], config, dataflow.name, log);
  const manager = new TaskManager({
    id: instance,
    jobName: dataflow.name,
    run: config.runNumber,
    slots,
    openSlot: openSlots(
      {
        taskManagerId: instance,
        run: slotShare(run, slots),
        jobId: dataflow.name,
        directory,
        ...(ahead === undefined ? {} : { copies: ahead.directory }),
        exchangePort: flags.exchangePort,
        exchange: { ...defaultExchange, flushTimeoutMs: run.flushTimeoutMs, bufferBytes: run.exchangeBytes },
        ...(config.tlsDir === undefined ? {} : { tlsDir: config.tlsDir }),
        log: { format: flags.log, level: flags.logLevel },
      },
      config.advertise,
    ),
    findLeaders: leaders.find,
    rpc: { tls, token, heartbeats: config.heartbeats, connectTimeoutMs, clock: steadyClock },
    orphanMs: parseDuration(flags.orphanTimeout, "--orphan-timeout"),
    clock: steadyClock,
    random: Math.random,
    log,
  });
  // Slots take most of the time of a start, and a lost TaskManager's work may be waiting for them.
  ahead?.start(() => manager.isRegistered);
  const starting = manager.start();
  // Whoever awaits it hears of a failure; until then it must not count as unhandled.
  starting.catch(() => undefined);
  let started = false;
  const health = await startHealthServer({
    host: config.listen,
    port: flags.port,
    // Of a run that stands by nobody leads yet.
    ready: () => manager.isRegistered || (config.standby && started && ahead?.isFetched !== false),
    jobName: dataflow.name,
  });
  const stop = stopSignal();
  try {
    await starting;
    started = true;
    log.info("task manager started", { job: dataflow.name, run: config.runNumber, taskManagerId: instance, slots, health: health.url });
    await stop.asked;
  } finally {
    stop.release();
    await manager.stop("is shutting down");
    await leaders.close();
    await ahead?.close();
    await health.close();
  }
}

interface LeaderFinder {
  readonly find: () => Promise<readonly string[]>;
  readonly close: () => Promise<void>;
}

/** From a list of addresses (a name may stand for several), or from the lease. */
async function leaderFinder(list: string | undefined, config: ClusterConfig, jobId: string, log: Log): Promise<LeaderFinder> {
  if (list !== undefined) {
    const addresses = list.split(",").filter((one) => one !== "");
    return { find: async () => (await Promise.all(addresses.map(resolveAll))).flat(), close: () => Promise.resolve() };
  }
  const { store } = await openLease(config, jobId);
  return {
    find: async () => {
      const address = addressOf((await store.read())?.record);
      return address === undefined ? [] : [address.rpc];
    },
    close: () => store.close().catch((error: unknown) => log.warn("the lease's storage did not close", { reason: messageOf(error) })),
  };
}

// A headless Service lists all JobManagers under one name.
async function resolveAll(address: string): Promise<readonly string[]> {
  const at = address.lastIndexOf(":");
  if (at < 1) throw new MillraceError("OPTION_INVALID", "--jobmanagers", `"${address}" is not host:port`, "give host:port");
  const port = address.slice(at);
  const found = await lookup(address.slice(0, at), { all: true });
  return found.map(({ address: ip, family }) => `${family === 6 ? `[${ip}]` : ip}${port}`);
}
