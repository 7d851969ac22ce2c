// Other engines beside ours: the programs in a folder that `--peers` names, run as they are, on their broker and their topics.
//
// The folder holds env.sh (BOOTSTRAP, LAB, BROKER_PID, `tools`), setup.sh, gen.sh and run.sh ENGINE QUERY, which measures a run as measure.ts
// does (user and system CPU of the process's whole life, VmHWM), checks its output, and appends a line of JSON to $RESULTS/raw.jsonl. Its
// latency.sh ENGINE sends q0's input at a steady rate, counts and times what is seen of it, and appends a line to $RESULTS/latency.jsonl.
import { existsSync } from "node:fs";
import { mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run } from "../measure.ts";
import type { KafkaQuery } from "./verify.ts";

export const peerEngines = ["flink", "ks", "spark"] as const;
export type PeerEngine = (typeof peerEngines)[number];

export interface PeerRun {
  readonly cpuSeconds: number;
  readonly wallSeconds: number;
  readonly peakBytes: number;
  readonly brokerSeconds: number;
  readonly problem: string | undefined;
}

/** A steady run: from sent to seen, in ms, as whole numbers. */
export interface PeerLatency {
  readonly seen: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
  readonly worstBehindMs: number;
  readonly cpuSeconds: number;
  readonly peakBytes: number;
  readonly problem: string | undefined;
}

// The settings that each engine was fastest with.
const settings: Readonly<Record<PeerEngine, Readonly<Record<string, string>>>> = {
  flink: { PAR: "2", JOPTS: "-XX:+UseParallelGC" },
  // With less grace it drops records of a backlog that belong into windows.
  ks: { PAR: "2", JOPTS: "-XX:+UseParallelGC", GRACE_MS: "600000" },
  spark: { PAR: "2", MAXOFF: "1000000" },
};

export class Peers {
  readonly bootstrap: string;
  readonly brokerPid: number | undefined;
  readonly #folder: string;
  readonly #results: string;

  private constructor(folder: string, results: string, bootstrap: string, brokerPid: number | undefined) {
    this.#folder = folder;
    this.#results = results;
    this.bootstrap = bootstrap;
    this.brokerPid = brokerPid;
  }

  /** Sets the engines up where that was not done, and starts their broker. */
  static async open(folder: string): Promise<Peers> {
    const results = await mkdtemp(join(tmpdir(), "millrace-peers-"));
    const shown = await run(["bash", "-c", `. "${folder}/env.sh"; echo "$BOOTSTRAP|$LAB|$BROKER_PID"`]);
    const [bootstrap = "", lab = "", pidFile = ""] = shown.trim().split("|");
    const answers = await run(["bash", "-c", `exec 3<>/dev/tcp/${bootstrap.replace(":", "/")}`]).then(
      () => true,
      () => false,
    );
    if (!answers || !existsSync(`${lab}/classes/tools`)) await run(["bash", `${folder}/setup.sh`]);
    const pid = Number(await readFile(pidFile, "utf8").catch(() => ""));
    return new Peers(folder, results, bootstrap, pid > 0 ? pid : undefined);
  }

  /** Makes the input topics anew. */
  async generate(records: number): Promise<void> {
    await run(["bash", `${this.#folder}/gen.sh`, String(records)]);
  }

  async run(engine: PeerEngine, query: KafkaQuery, records: number): Promise<PeerRun> {
    const topic = query === "count" ? "bids-wide" : "bids";
    const environment = { ...settings[engine], RESULTS: this.#results };
    await run(["bash", `${this.#folder}/run.sh`, engine, query, topic, String(records)], environment);
    const { raw, number } = await this.#last("raw.jsonl");
    const good = number("rc") === 0 && (query === "count" || raw["verify"] === "OK");
    return {
      cpuSeconds: number("cpu_s"),
      wallSeconds: number("wall_s"),
      peakBytes: number("rss_mb") * 2 ** 20,
      brokerSeconds: number("broker_cpu_s"),
      problem: good ? undefined : `ended with ${String(raw["rc"])}, check ${String(raw["verify"])}`,
    };
  }

  /** q0 of an engine (`floor`: the bare consumer) at a steady rate; each must show as many records as were sent. */
  async latency(
    engine: PeerEngine | "floor",
    { rate, seconds, warmSeconds }: { readonly rate: number; readonly seconds: number; readonly warmSeconds: number },
  ): Promise<PeerLatency> {
    const environment = {
      ...(engine === "floor" ? {} : settings[engine]),
      ...{ RATE: String(rate), SECS: String(seconds), WARM: String(warmSeconds), RESULTS: this.#results },
    };
    await run(["bash", `${this.#folder}/latency.sh`, engine], environment);
    const { number } = await this.#last("latency.jsonl");
    const sent = rate * seconds;
    return {
      ...{ seen: number("seen"), p50: number("p50"), p90: number("p90"), p99: number("p99"), p999: number("p999"), max: number("max") },
      worstBehindMs: number("gen_worst_behind_ms"),
      cpuSeconds: number("cpu_s"),
      peakBytes: number("rss_mb") * 2 ** 20,
      problem: number("seen") === sent ? undefined : `showed ${number("seen")} of ${sent} records`,
    };
  }

  async #last(file: string): Promise<{ readonly raw: Readonly<Record<string, unknown>>; readonly number: (name: string) => number }> {
    const lines = (await readFile(join(this.#results, file), "utf8")).trim().split("\n");
    const raw = JSON.parse(lines.at(-1) as string) as Readonly<Record<string, unknown>>;
    return { raw, number: (name) => (typeof raw[name] === "number" ? raw[name] : Number.NaN) };
  }

  /** Checks an output of ours by the rules that theirs are checked by. */
  async verify(query: "q0" | "q12e", topic: string, records: number): Promise<string | undefined> {
    const output = await run(["bash", "-c", `. "${this.#folder}/env.sh"; tools verify ${query} ${topic} ${records}`]);
    return output.includes("@@ verify=OK") ? undefined : output.trim();
  }
}
