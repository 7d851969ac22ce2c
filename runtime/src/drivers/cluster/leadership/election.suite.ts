// What every lease must do, whichever place it is kept in: run against each implementation.
import { afterEach, describe, expect, test } from "vitest";
import { ManualClock } from "../../../base/clock.ts";
import { silentLog } from "../../../base/log.ts";
import { Elector, type ElectionTimes } from "./elector.ts";
import type { LeaseRecord, LeaseStore } from "./lease.ts";

export interface LeasePlace {
  /** A store of one more process. */
  open(): Promise<LeaseStore>;
  /** From now on calls reject, or hang until they time out. */
  setReachable(reachable: boolean): void;
  close(): Promise<void>;
}

const times: ElectionTimes = { durationMs: 15_000, renewMs: 10_000, retryMs: 2000 };

export function leaseSuite(name: string, openPlace: () => Promise<LeasePlace>): void {
  describe(`the election: ${name}`, () => {
    let place: LeasePlace;
    const stores: LeaseStore[] = [];
    afterEach(async () => {
      for (const store of stores.splice(0)) await store.close();
      await place.close();
    });

    // How many calls wait for their answer: time stands still meanwhile, however slow the machine is.
    let open = 0;
    const counted = async <T>(call: Promise<T>): Promise<T> => {
      open++;
      return call.finally(() => open--);
    };
    const openStore = async (): Promise<LeaseStore> => {
      const store = await place.open();
      stores.push(store);
      return {
        read: () => counted(store.read()),
        write: (written, version) => counted(store.write(written, version)),
        close: () => store.close(),
      };
    };
    const record = (holder: string, renewals: number): LeaseRecord => ({
      holder,
      renewals,
      durationMs: 15_000,
      address: { rpc: `${holder}:6123`, rest: `http://${holder}:8081` },
      released: false,
    });

    test("what one process writes others read, whole", async () => {
      place = await openPlace();
      const [one, two] = [await openStore(), await openStore()];
      expect(await one.read()).toBeUndefined();
      expect(await one.write(record("one", 1), undefined)).toBe(true);
      expect((await two.read())?.record).toEqual(record("one", 1));
    });

    test("a write that others were faster than changes nothing", async () => {
      place = await openPlace();
      const [one, two] = [await openStore(), await openStore()];
      await one.write(record("one", 1), undefined);
      expect(await two.write(record("two", 1), undefined)).toBe(false);
      const seen = await two.read();
      await one.read();
      expect(await one.write(record("one", 2), (await one.read())?.version)).toBe(true);
      expect(await two.write(record("two", 2), seen?.version)).toBe(false);
      expect((await two.read())?.record.holder).toBe("one");
    });

    test("a lease that was given back is free", async () => {
      place = await openPlace();
      const [one, two] = [await openStore(), await openStore()];
      await one.write(record("one", 1), undefined);
      await one.write({ ...record("one", 2), released: true }, (await one.read())?.version);
      expect((await two.read())?.record.released).toBe(true);
    });

    interface Candidate {
      readonly elector: Elector;
      readonly news: string[];
    }
    const candidate = async (clock: ManualClock, holder: string): Promise<Candidate> => {
      const news: string[] = [];
      const elector = new Elector({
        ...{ holder, clock, times, log: silentLog, store: await openStore(), random: () => 0.5 },
        address: { rpc: `${holder}:6123`, rest: `http://${holder}:8081` },
        lead: () => news.push("lead"),
        lost: () => news.push("lost"),
      });
      elector.start();
      return { elector, news };
    };
    // Time moves, and what it set off gets its turn.
    const advance = async (clock: ManualClock, ms: number): Promise<void> => {
      for (let past = 0; past < ms; past += 500) {
        clock.advance(500);
        for (let quiet = 0; quiet < 5; quiet = open === 0 ? quiet + 1 : 0) await new Promise((resolve) => setTimeout(resolve, 0));
      }
    };

    test("one of two leads, for as long as it renews, and both know where", async () => {
      place = await openPlace();
      const clock = new ManualClock();
      const [one, two] = [await candidate(clock, "one"), await candidate(clock, "two")];
      await advance(clock, 40_000);
      expect([one.news, two.news].map(({ length }) => length).sort()).toEqual([0, 1]);
      const leader = one.elector.isLeading ? "one" : "two";
      expect(one.elector.leader?.rpc).toBe(`${leader}:6123`);
      expect(two.elector.leader?.rpc).toBe(`${leader}:6123`);
      await Promise.all([one.elector.stop(), two.elector.stop()]);
    });

    test("a leader that cannot renew stops leading before anybody else begins", async () => {
      place = await openPlace();
      const clock = new ManualClock();
      const one = await candidate(clock, "one");
      await advance(clock, 3000);
      expect(one.news).toEqual(["lead"]);
      const two = await candidate(clock, "two");
      await advance(clock, 3000);
      place.setReachable(false);
      let both = false;
      for (let second = 0; second < 14; second++) {
        await advance(clock, 1000);
        both ||= one.elector.isLeading && two.elector.isLeading;
      }
      expect(one.news).toEqual(["lead", "lost"]);
      expect(both).toBe(false);
      place.setReachable(true);
      await advance(clock, 25_000);
      expect(Number(one.elector.isLeading) + Number(two.elector.isLeading)).toBe(1);
      await Promise.all([one.elector.stop(), two.elector.stop()]);
    });

    test("a leader that leaves gives the lease back, and the next one need not wait for it to run out", async () => {
      place = await openPlace();
      const clock = new ManualClock();
      const one = await candidate(clock, "one");
      await advance(clock, 3000);
      const two = await candidate(clock, "two");
      await advance(clock, 3000);
      await one.elector.stop();
      await advance(clock, 4000);
      expect(two.news).toEqual(["lead"]);
      await two.elector.stop();
    });
  });
}
