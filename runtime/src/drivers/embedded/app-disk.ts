// Where an application's state is on this machine's disk: copies of changelogs that outlive the process, and scratch space that does not.
import type { Clock } from "../../base/clock.ts";
import type { KafkaClient } from "../../connectors/kafka/client/kafka-client.ts";
import type { Isolation } from "../../connectors/kafka/wire/offset-apis.ts";
import { type ChangelogCopy, MemoryCopy } from "./changelog/changelog-copy.ts";
import { makeWorkFolder, type WorkFolder } from "../work-folder.ts";
import { CopyStore } from "./changelog/copy-store.ts";
import type { TaskPlace } from "./task/task-host.ts";

/**
 * For so long a copy can be gone on with. The changelog keeps records that delete for a day (`delete.retention.ms`); a copy that is older
 * than that would keep what they deleted.
 */
const trustedMs = 12 * 3_600_000;

export class AppDisk {
  /** For what need not outlive the process. */
  readonly scratchDirectory: string;
  /** Where nothing outlives the process: the next one removes it when this one is killed. */
  readonly #work: WorkFolder | undefined;
  readonly #copies: CopyStore | undefined;
  #cancelCleaning: (() => void) | undefined;

  private constructor(scratchDirectory: string, copies: CopyStore | undefined, work: WorkFolder | undefined) {
    this.scratchDirectory = scratchDirectory;
    this.#work = work;
    this.#copies = copies;
  }

  /** Without a folder nothing outlives the process. Rejects with EMBEDDED_STATE_DIRECTORY. */
  static async open(folder: string | undefined, applicationId: string, clock: Clock): Promise<AppDisk> {
    if (folder === undefined) {
      const work = await makeWorkFolder();
      return new AppDisk(work.path, undefined, work);
    }
    const copies = await CopyStore.open(folder, applicationId, clock);
    copies.clean(trustedMs, () => false);
    return new AppDisk(copies.scratchDirectory, copies, undefined);
  }

  get keepsCopies(): boolean {
    return this.#copies !== undefined;
  }

  copyOf(topic: string, partition: number): ChangelogCopy {
    return this.#copies?.copy(topic, partition) ?? new MemoryCopy();
  }

  /** How far the copies of each task are behind that has all of them here: what a process that starts again tells the group. */
  async lags(places: ReadonlyMap<string, TaskPlace>, client: KafkaClient, isolation: Isolation): Promise<Readonly<Record<string, number>>> {
    const found = new Map((this.#copies?.copies() ?? []).map((each) => [`${each.topic}/${each.partition}`, each]));
    const lags: Record<string, number> = {};
    for (const [id, { subTopology, partition }] of places) {
      const copies = subTopology.stores.map(({ topic }) => found.get(`${topic}/${partition}`)).filter((each) => each !== undefined);
      if (copies.length === 0 || copies.length < subTopology.stores.length) continue;
      const ends = await client.listOffsets(
        copies.map((each) => ({ ...each, at: "latest" as const })),
        isolation,
      );
      lags[id] = ends.reduce((sum, end, index) => sum + Math.max(0, end.offset - (copies[index]?.position ?? 0)), 0);
    }
    return lags;
  }

  /** From time to time deletes copies that were not used for `ageMs`. `used` gives the tasks that use theirs; undefined while that is not known. */
  cleanRegularly(ageMs: number, clock: Clock, places: ReadonlyMap<string, TaskPlace>, used: () => readonly string[] | undefined): void {
    if (this.#copies === undefined) return;
    this.#cancelCleaning = clock.after(Math.max(1000, ageMs / 4), () => {
      const ids = used();
      const kept = new Set(
        ids?.flatMap((id) => places.get(id)?.subTopology.stores.map(({ topic }) => `${topic}/${places.get(id)?.partition}`) ?? []),
      );
      if (ids !== undefined) this.#copies?.clean(ageMs, (topic, partition) => kept.has(`${topic}/${partition}`));
      this.cleanRegularly(ageMs, clock, places, used);
    });
  }

  async close(): Promise<void> {
    this.#cancelCleaning?.();
    await this.#work?.remove();
    await this.#copies?.close();
  }
}
