// Other engines beside ours: the programs in a folder that `--peers` names, run as they are, on their broker and their topics.
//
// The folder holds env.sh (BOOTSTRAP, LAB, BROKER_PID, `tools`), setup.sh, gen.sh and run.sh ENGINE QUERY, which measures a run as measure.ts
// does (user and system CPU of the process's whole life, VmHWM), checks its output, and appends a line of JSON to $RESULTS/raw.jsonl.
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
    const lines = (await readFile(join(this.#results, "raw.jsonl"), "utf8")).trim().split("\n");
    const raw = JSON.parse(lines.at(-1) as string) as Readonly<Record<string, unknown>>;
    const number = (name: string): number => (typeof raw[name] === "number" ? (raw[name] as number) : Number.NaN);
    const good = number("rc") === 0 && (query === "count" || raw["verify"] === "OK");
    return {
      cpuSeconds: number("cpu_s"),
      wallSeconds: number("wall_s"),
      peakBytes: number("rss_mb") * 2 ** 20,
      brokerSeconds: number("broker_cpu_s"),
      problem: good ? undefined : `ended with ${String(raw["rc"])}, check ${String(raw["verify"])}`,
    };
  }

  /** Checks an output of ours by the rules that theirs are checked by. */
  async verify(query: "q0" | "q12e", topic: string, records: number): Promise<string | undefined> {
    const output = await run(["bash", "-c", `. "${this.#folder}/env.sh"; tools verify ${query} ${topic} ${records}`]);
    return output.includes("@@ verify=OK") ? undefined : output.trim();
  }
}
