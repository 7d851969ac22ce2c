// A job under load in a namespace of its own, and faults done to it: how long its output stood still, and whether it is exact afterwards.
import { randomBytes } from "node:crypto";
import { kubectl } from "../../support/cluster.ts";
import { eventually } from "./eventually.ts";
import { createNamespace, visitImages } from "./operator.ts";
import { type PodServers, podServers } from "./servers.ts";
import { TestJob } from "./stream-job.ts";
import { underLoad, untilExact, Visits } from "./visits.ts";

/** How long what is taken away stays away; the long form of these tests takes it away for a minute. */
export const outageSeconds = (short: number): number => Number(process.env["MILLRACE_TEST_OUTAGE_SECONDS"] ?? short);

export class FaultJob {
  readonly namespace: string;
  readonly job: TestJob;
  readonly #servers: PodServers;
  readonly #visits: Visits;
  readonly #seed: number;

  private constructor(namespace: string, servers: PodServers, seed: number) {
    this.namespace = namespace;
    this.#servers = servers;
    this.#seed = seed;
    this.#visits = new Visits(servers, namespace, 500, seed);
    this.job = new TestJob(namespace, "visits", servers, this.#visits.topics);
  }

  /** Runs and has completed a checkpoint. */
  static async start(name: string): Promise<FaultJob> {
    const namespace = `${name}-${randomBytes(3).toString("hex")}`;
    const made = new FaultJob(namespace, await podServers(), randomBytes(4).readUInt32LE());
    await createNamespace(namespace);
    await made.#visits.createTopics();
    await made.job.apply({ image: visitImages.v1 });
    await made.job.stable();
    return made;
  }

  /** Does `fault` while visits keep coming, until later visits have come out, and says how long that took; then `after`; at the end all is exact. */
  async suffers(what: string, fault: () => Promise<void>, after: () => Promise<void> = () => Promise.resolve()): Promise<void> {
    const visits = this.#visits;
    await underLoad(visits, async () => {
      const startMs = Date.now();
      await fault();
      const endMs = Date.now();
      const mark = visits.mark();
      const seenBefore = visits.output().length;
      const recoveredMs = await this.#comesOutAgain(what, mark, seenBefore);
      await after();
      const seconds = (ms: number): string => `${(ms / 1000).toFixed(1)} s`;
      process.stdout.write(
        `${what}: the fault took ${seconds(endMs - startMs)}, later visits were out ${seconds(recoveredMs - endMs)} after it, ` +
          `longest pause of the output ${seconds(this.#longestPauseMs(startMs))}\n`,
      );
    });
    await untilExact(visits, this.#seed);
  }

  async #comesOutAgain(what: string, mark: ReadonlyMap<string, number>, from: number): Promise<number> {
    const later = async (): Promise<number | undefined> =>
      this.#visits.output().find(({ visitor, number }, at) => at >= from && number > (mark.get(visitor) ?? 0))?.atMs;
    try {
      return await eventually(`${what}: output again`, later, { timeoutMs: 300_000, everyMs: 100 });
    } catch (error) {
      throw new Error(`${String(error)}\n${await this.job.describe()}`, { cause: error });
    }
  }

  #longestPauseMs(sinceMs: number): number {
    let before = sinceMs;
    let longest = 0;
    for (const { atMs } of this.#visits.output()) {
      if (atMs < sinceMs) continue;
      longest = Math.max(longest, atMs - before);
      before = atMs;
    }
    return longest;
  }

  async ready(): Promise<void> {
    await this.job.until("is Ready", ({ conditions }) => conditions?.find(({ type }) => type === "Ready")?.status === "True");
  }

  async end(): Promise<void> {
    this.#visits.stop();
    await kubectl(["delete", "namespace", this.namespace, "--ignore-not-found", "--wait=false"]);
    await this.#servers.kafka.close();
  }
}
