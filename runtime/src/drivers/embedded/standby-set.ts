// Warm copies of the state of tasks that other processes run: standbys, and warm-ups before a task moves here.
import { setImmediate as nextTurn } from "node:timers/promises";
import { messageOf } from "../../base/errors.ts";
import { Waits } from "../../base/waits.ts";
import { ChangelogFollower } from "./changelog/changelog-follower.ts";
import type { StandbyCopy } from "./queries/standby-read.ts";
import type { TaskHost, TaskPlace } from "./task/task-host.ts";

interface Standby {
  readonly place: TaskPlace;
  readonly abort: AbortController;
  followers: ReadonlyMap<string, ChangelogFollower>;
  done: Promise<void>;
}

export interface StandbyHooks {
  /** A copy has become warm. */
  warmed(taskId: string): void;
}

/** Followers of all changelogs of a task, from where their copies stand. */
export async function openFollowers(host: TaskHost, place: TaskPlace): Promise<ReadonlyMap<string, ChangelogFollower>> {
  const followers = new Map<string, ChangelogFollower>();
  for (const { uid, topic } of place.subTopology.stores) {
    followers.set(uid, await ChangelogFollower.open(host, topic, place.partition, host.copyOf(topic, place.partition)));
  }
  return followers;
}

const retryMs = 1000;

export class StandbySet {
  readonly #host: TaskHost;
  readonly #places: ReadonlyMap<string, TaskPlace>;
  readonly #acceptableLag: number;
  readonly #hooks: StandbyHooks;
  readonly #standbys = new Map<string, Standby>();

  constructor(host: TaskHost, places: ReadonlyMap<string, TaskPlace>, acceptableLag: number, hooks: StandbyHooks) {
    this.#host = host;
    this.#places = places;
    this.#acceptableLag = acceptableLag;
    this.#hooks = hooks;
  }

  /** Which copies to keep, besides those of tasks in `keep`: these are about to be taken over. */
  want(ids: readonly string[], keep: readonly string[]): void {
    for (const id of this.#standbys.keys()) if (!ids.includes(id) && !keep.includes(id)) void this.drop(id);
    for (const id of ids) {
      const place = this.#places.get(id);
      if (place === undefined || this.#standbys.has(id)) continue;
      const standby: Standby = { place, abort: new AbortController(), followers: new Map(), done: Promise.resolve() };
      this.#standbys.set(id, standby);
      standby.done = this.#run(standby);
    }
  }

  /** How many records each copy is behind. */
  lags(): Readonly<Record<string, number>> {
    const lags: Record<string, number> = {};
    for (const [id, { followers }] of this.#standbys) {
      if (followers.size === 0) continue;
      lags[id] = [...followers.values()].reduce((sum, each) => sum + each.lag, 0);
    }
    return lags;
  }

  /** The copy of an operator's changelog, for reading; undefined where there is none. */
  copyOf(id: string, uid: string): StandbyCopy | undefined {
    const follower = this.#standbys.get(id)?.followers.get(uid);
    return follower && { topic: follower.topic, records: follower.copy, lag: follower.lag };
  }

  /** Hands over a copy to the task that goes on with it; undefined where there is none. */
  async take(id: string): Promise<ReadonlyMap<string, ChangelogFollower> | undefined> {
    const standby = this.#standbys.get(id);
    if (standby === undefined) return undefined;
    this.#standbys.delete(id);
    standby.abort.abort();
    await standby.done;
    return standby.followers.size === 0 ? undefined : standby.followers;
  }

  async drop(id: string): Promise<void> {
    for (const follower of (await this.take(id))?.values() ?? []) await follower.close();
  }

  async close(): Promise<void> {
    await Promise.all([...this.#standbys.keys()].map((id) => this.drop(id)));
  }

  // Follows until it is aborted; then the followers stand still.
  async #run(standby: Standby): Promise<void> {
    const { place, abort } = standby;
    while (!abort.signal.aborted) {
      try {
        standby.followers = await openFollowers(this.#host, place);
        await this.#follow(standby);
        return;
      } catch (error) {
        this.#host.log.warn("a copy of state is begun anew", { taskId: place.id, reason: messageOf(error) });
        for (const follower of standby.followers.values()) await follower.close();
        standby.followers = new Map();
        await new Promise((resolve) => setTimeout(resolve, retryMs));
      }
    }
  }

  async #follow({ place, abort, followers }: Standby): Promise<void> {
    const waits = new Waits(this.#host.clock);
    abort.signal.addEventListener("abort", () => waits.wake(), { once: true });
    let warm = false;
    while (!abort.signal.aborted) {
      const waitMs = Math.max(0, ...[...followers.values()].map((follower) => follower.waitMs));
      if (waitMs > 0) {
        await waits.sleep(waitMs);
        continue;
      }
      let worked = false;
      for (const follower of followers.values()) if (follower.step()) worked = true;
      const lag = [...followers.values()].reduce((sum, each) => sum + each.lag, 0);
      if (!warm && lag <= this.#acceptableLag) {
        warm = true;
        this.#hooks.warmed(place.id);
      }
      if (!worked) {
        for (const follower of followers.values()) waits.watch(follower, () => follower.ready());
        await waits.sleep();
      }
      await nextTurn();
    }
  }
}
