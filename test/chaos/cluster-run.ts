// One run of the cluster's chaos programs: readings flow at a steady rate through a job on several processes while a program breaks things,
// the gaps in the committed output are measured, and in the end all of it is compared with an independent computation.
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { clientOptions } from "../../runtime/src/connectors/kafka/client/client-options.ts";
import { WireKafkaClient } from "../../runtime/src/connectors/kafka/client/wire-client.ts";
import { consumeCommitted } from "../support/consume.ts";
import { realKafka, realS3 } from "../support/real.ts";
import { ClusterProcesses, type JobView, type Member } from "./cluster-processes.ts";
import { LiveReadings } from "./live-readings.ts";

export const say = (text: string): void => void process.stdout.write(`${text}\n`);
export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export interface RunOptions {
  readonly rate: number;
  readonly keys: number;
  readonly seed: number;
  readonly parallelism: number;
  readonly slots: number;
  readonly taskManagers: number;
  readonly jobManagers: number;
  readonly checkpointInterval: string;
  /** Of the windows whose output is watched; default 1000. */
  readonly windowMs?: number;
  /** More parameters of the job. */
  readonly parameters?: Readonly<Record<string, string>>;
  readonly taskManagerArgs?: readonly string[];
  /** Called before the first process starts. */
  readonly prepare?: (run: ClusterRun) => void;
}

interface Gap {
  readonly fromMs: number;
  readonly ms: number;
}

const takeoverSteps = ["leader lost, slices go on", "lease taken", "leading", "registered", "running slices taken over"];
const partitions = 4;
const sendMs = 50;
const lookMs = 25;
/** Of the job's watermarks. */
const boundMs = 1000;

export class ClusterRun {
  readonly cluster: ClusterProcesses;
  readonly options: RunOptions;
  readonly #client: WireKafkaClient;
  readonly #kafka = realKafka();
  readonly #readings: LiveReadings;
  readonly #topics: { readonly input: string; readonly output: string; readonly sessions: string };
  readonly #gaps: Gap[] = [];
  #work: Promise<void>[] = [];
  #sinceMs = Date.now();
  #sending = true;
  #watching = true;

  private constructor(options: RunOptions) {
    const id = randomBytes(4).toString("hex");
    const s3 = realS3();
    this.options = options;
    this.#topics = { input: `cc-in-${id}`, output: `cc-out-${id}`, sessions: `cc-sessions-${id}` };
    this.#client = new WireKafkaClient(clientOptions({ bootstrapServers: this.#kafka.bootstrap }), {});
    const { rate, keys, seed, windowMs = 1000 } = options;
    this.#readings = new LiveReadings(this.#client, this.#topics.input, partitions, rate, keys, seed, windowMs);
    this.cluster = new ClusterProcesses({
      job: "test/chaos/cluster-job.ts",
      parameters: { brokers: this.#kafka.bootstrap.join(","), windowMs: String(windowMs), ...this.#topics, ...options.parameters },
      storage: `s3://${s3.bucket}/cluster-${id}`,
      s3,
      parallelism: options.parallelism,
      slots: options.slots,
      checkpointInterval: options.checkpointInterval,
      taskManagerArgs: options.taskManagerArgs ?? [],
    });
  }

  /** Starts everything; resolves when output flows. */
  static async start(options: RunOptions): Promise<ClusterRun> {
    const run = new ClusterRun(options);
    options.prepare?.(run);
    // Event time is years ago, and so are the records' timestamps: nothing may be deleted for its age.
    const configs = { "retention.ms": "-1" };
    await run.#client.createTopics(Object.values(run.#topics).map((name) => ({ name, partitions, replicationFactor: 1, configs })));
    for (let i = 0; i < options.jobManagers; i++) run.cluster.start("jobmanager");
    for (let i = 0; i < options.taskManagers; i++) run.cluster.start("taskmanager");
    await run.until("the job to run", (job) => job.state === "running", 120_000);
    run.#work = [run.#send(), run.#watch()];
    for (const work of run.#work) work.catch((error: unknown) => say(`FAILED ${String(error)}`));
    const before = await run.#visible();
    const untilMs = Date.now() + 60_000;
    while ((await run.#visible()) === before) {
      if (Date.now() > untilMs) throw new Error(`no output within a minute; see ${run.cluster.log}`);
      await pause(50);
    }
    run.#gaps.length = 0;
    return run;
  }

  get sent(): number {
    return this.#readings.sent;
  }

  /** The longest time without new committed output that began or went on in this span, ms. */
  longestGap(fromMs: number, untilMs: number): number {
    const open = { fromMs: this.#sinceMs, ms: Date.now() - this.#sinceMs };
    return Math.max(
      0,
      ...[...this.#gaps, open].filter((gap) => gap.fromMs + gap.ms >= fromMs && gap.fromMs <= untilMs).map((gap) => gap.ms),
    );
  }

  async until(what: string, test: (job: JobView) => boolean, timeoutMs: number): Promise<JobView> {
    const untilMs = Date.now() + timeoutMs;
    let last: JobView | undefined;
    while (Date.now() < untilMs) {
      last = (await this.cluster.job()) ?? last;
      if (last !== undefined && test(last)) return last;
      await pause(50);
    }
    throw new Error(`waited ${timeoutMs} ms for ${what}: ${JSON.stringify(last)?.slice(0, 600)}; see ${this.cluster.log}`);
  }

  /** Where the time of the last restart went, as the leader tells it. */
  async lastRecovery(): Promise<string> {
    const { recoveries } = (await this.cluster.askLeader("/v1/exceptions", "GET", undefined, 10_000)) as {
      recoveries: readonly {
        readonly code: string;
        readonly failures: number;
        readonly detectedAtMs: number;
        readonly cancelledAtMs: number | null;
        readonly deployedAtMs: number | null;
        readonly restoredAtMs: number | null;
        readonly runningAtMs: number | null;
        readonly slowest: Readonly<Record<string, number>> | null;
      }[];
    };
    const last = recoveries.at(-1);
    if (last === undefined) return "none";
    const since = (atMs: number | null): string => (atMs === null ? "?" : `${atMs - last.detectedAtMs}`);
    const slowest = Object.entries(last.slowest ?? {}).map(([name, value]) => `${name} ${Math.round(value)}`);
    return `${last.code}, failures ${last.failures}, ms from its detection: cancelled ${since(last.cancelledAtMs)}, deployed ${since(last.deployedAtMs)}, restored ${since(last.restoredAtMs)}, running ${since(last.runningAtMs)}; slowest ${slowest.join(", ")}`;
  }

  /** Where the time of a takeover went: ms from the leader's death at `killedMs`, as the log and the new leader's checkpoints tell it. */
  async takeover(killedMs: number): Promise<string> {
    const seen = new Map<string, number>();
    for (const line of readFileSync(this.cluster.log, "utf8").split("\n")) {
      const [, time = "", message = ""] = /"time":"([^"]+)".*"message":"([^"]+)"/.exec(line) ?? [];
      const sinceMs = Date.parse(time) - killedMs;
      // Each has its time from the process that came to it last: of several TaskManagers the slowest counts.
      if (takeoverSteps.includes(message) && sinceMs >= 0) seen.set(message, sinceMs);
    }
    const { checkpoints } = (await this.cluster.askLeader("/v1/checkpoints", "GET", undefined, 10_000)) as {
      checkpoints: readonly { readonly triggeredAtMs: number; readonly durationMs: number | null }[];
    };
    const first = checkpoints.toSorted((a, b) => a.triggeredAtMs - b.triggeredAtMs).find((one) => one.durationMs !== null);
    if (first !== undefined) {
      seen.set("first checkpoint begun", Math.round(first.triggeredAtMs - killedMs));
      seen.set("complete", Math.round(first.triggeredAtMs + (first.durationMs ?? 0) - killedMs));
    }
    return [...seen].map(([step, ms]) => `${step} ${ms}`).join(", ");
  }

  /** Waits until a restarted process has started and the job runs, at most two minutes. */
  async back(member: Member): Promise<void> {
    const untilMs = Date.now() + 120_000;
    while (member.rest === undefined && member.id === undefined && Date.now() < untilMs) await pause(50);
    await this.until("the job to run again", (job) => job.state === "running", Math.max(1, untilMs - Date.now()));
  }

  /** Stops sending, lets the job read to the end, drains it, and compares all output. True when it is exact. */
  async finish(): Promise<boolean> {
    this.#sending = false;
    await this.#work[0];
    const wantedMs = this.#readings.reachedMs(boundMs);
    const isRead = (job: JobView): boolean => {
      const sources = job.processing?.operators.find((one) => one.uid === "readings")?.subtasks ?? [];
      return job.state === "running" && sources.length > 0 && sources.every(({ watermarkMs }) => (watermarkMs ?? 0) >= wantedMs);
    };
    await this.until("all readings to be read", isRead, 600_000);
    const drained = (await this.cluster.askLeader("/v1/savepoints?wait=100s", "POST", { id: "end", mode: "drain" }, 300_000)) as {
      phase: string;
    };
    this.#watching = false;
    await this.#work[1];
    if (drained.phase !== "completed") say(`the drain is ${JSON.stringify(drained)}`);
    const windows = await this.#compare(
      "windows",
      this.#topics.output,
      this.#readings.windows(),
      (row) => `${row.n} ${row.least} ${row.greatest} ${row.total}`,
    );
    const sessions = await this.#compare(
      "sessions",
      this.#topics.sessions,
      this.#readings.sessions(),
      (row) => `${row.windowEnd} ${row.n} ${row.least} ${row.greatest} ${row.total}`,
    );
    const open = (await this.#client.listTransactions(["Ongoing", "PrepareCommit", "PrepareAbort"])).filter(({ transactionalId }) =>
      transactionalId.includes("cluster-chaos"),
    );
    if (open.length > 0) say(`${open.length} transactions left open`);
    return windows && sessions && drained.phase === "completed" && open.length === 0;
  }

  async close(correct: boolean): Promise<void> {
    this.#sending = false;
    this.#watching = false;
    await Promise.allSettled(this.#work);
    await this.cluster.close(!correct);
    if (correct) await this.#client.deleteTopics(Object.values(this.#topics));
    else say(`kept: topics ${Object.values(this.#topics).join(", ")}, log ${this.cluster.log}`);
    await this.#client.close();
  }

  async #send(): Promise<void> {
    const startedMs = performance.now();
    const from = this.#readings.sent;
    while (this.#sending) {
      const due = Math.floor(((performance.now() - startedMs) / 1000) * this.options.rate) - (this.#readings.sent - from);
      if (due > 0) await this.#readings.send(Math.min(due, this.options.rate));
      await pause(sendMs);
    }
  }

  // Committed output of the windows: sessions come rarely.
  async #visible(): Promise<number> {
    const asked = Array.from({ length: partitions }, (_, partition) => ({ topic: this.#topics.output, partition, at: "latest" as const }));
    return (await this.#client.listOffsets(asked, "read_committed")).reduce((sum, { offset }) => sum + offset, 0);
  }

  async #watch(): Promise<void> {
    let seen = await this.#visible();
    this.#sinceMs = Date.now();
    while (this.#watching) {
      await pause(lookMs);
      const now = await this.#visible();
      if (now === seen) continue;
      this.#gaps.push({ fromMs: this.#sinceMs, ms: Date.now() - this.#sinceMs });
      seen = now;
      this.#sinceMs = Date.now();
    }
  }

  async #compare(
    what: string,
    topic: string,
    expected: ReadonlyMap<string, string>,
    show: (row: { windowEnd: number; n: number; least: number; greatest: number; total: number }) => string,
    tries = 3,
  ): Promise<boolean> {
    const seen = new Map<string, string>();
    let duplicates = 0;
    let wrong = 0;
    const examples: string[] = [];
    for (const { value } of await consumeCommitted(this.#kafka.bootstrap, topic)) {
      const row = JSON.parse(value) as {
        key: string;
        windowStart: number;
        windowEnd: number;
        n: number;
        least: number;
        greatest: number;
        total: number;
      };
      const id = `${row.key} ${row.windowStart}`;
      if (seen.has(id)) duplicates++;
      if (show(row) !== expected.get(id)) wrong++;
      if ((seen.has(id) || show(row) !== expected.get(id)) && examples.length < 5)
        examples.push(`${id}: ${show(row)}, expected ${expected.get(id)}`);
      seen.set(id, show(row));
    }
    // On a machine that is very busy the consumer may give up before the end of the topic; nothing is written there any more.
    if (seen.size < expected.size && tries > 1) return this.#compare(what, topic, expected, show, tries - 1);
    const missing = [...expected.keys()].filter((id) => !seen.has(id)).length;
    say(`${what}: expected ${expected.size} rows, seen ${seen.size}: ${missing} missing, ${duplicates} duplicate, ${wrong} wrong`);
    for (const example of examples) say(`  ${example}`);
    return missing === 0 && duplicates === 0 && wrong === 0;
  }
}
