// Compare-and-replace under every order of steps: processes are stopped at any of them, for a while or for good, and no change is lost.
import fc from "fast-check";
import { expect, test } from "vitest";
import { type OfferFiles, replaceFile } from "./conditional-replace.ts";

/** A file system whose calls are single steps, made when the scheduler says so. */
class Steps {
  /** Folder -> its files with their content. */
  readonly folders = new Map<string, Map<string, string>>();
  target: string | undefined = "0";
  nowMs = 0;
  /** Every change of the target: what was there before, and what its writer had compared with. */
  readonly changes: { readonly before: string | undefined; readonly expected: string; readonly after: string }[] = [];
  readonly waiting: { readonly process: number; readonly go: () => void }[] = [];
  #tokens = 0;

  turn(process: number): Promise<void> {
    return new Promise((resolve) => this.waiting.push({ process, go: resolve }));
  }

  files(process: number, content: string, expected: () => string): OfferFiles {
    const turn = (): Promise<void> => this.turn(process);
    return {
      prepare: async (token) => {
        await turn();
        this.folders.set(`tmp/${token}`, new Map([[token, content]]));
        return `tmp/${token}`;
      },
      moveFolder: async (from, to) => {
        await turn();
        if ((this.folders.get(to)?.size ?? 0) > 0) return "occupied";
        const moved = this.folders.get(from);
        if (moved === undefined) throw new Error(`${from} is gone`);
        this.folders.delete(from);
        this.folders.set(to, moved);
        return "moved";
      },
      standing: async (folder) => {
        await turn();
        return this.folders.get(folder)?.keys().next().value;
      },
      moveFile: async (from) => {
        await turn();
        const { files, name } = this.#at(from);
        const moved = files?.get(name);
        if (files === undefined || moved === undefined) return false;
        files.delete(name);
        this.changes.push({ before: this.target, expected: expected(), after: moved });
        this.target = moved;
        return true;
      },
      removeFile: async (path) => {
        await turn();
        const { files, name } = this.#at(path);
        files?.delete(name);
      },
      removeFolder: async (path) => {
        await turn();
        if (this.folders.get(path)?.size === 0) this.folders.delete(path);
      },
    };
  }

  #at(path: string): { readonly files: Map<string, string> | undefined; readonly name: string } {
    const at = path.lastIndexOf("/");
    return { files: this.folders.get(path.slice(0, at)), name: path.slice(at + 1) };
  }

  /** Reads the target and replaces it by `content`, once. */
  async change(process: number, content: string): Promise<string> {
    await this.turn(process);
    const expected = this.target ?? "";
    return replaceFile(
      this.files(process, content, () => expected),
      {
        target: "target",
        offer: "offer",
        isUnchanged: async () => {
          await this.turn(process);
          return this.target === expected;
        },
        newToken: () => `t${++this.#tokens}`,
        now: () => this.nowMs,
        pause: () => this.turn(process),
        deadlineMs: Infinity,
      },
    );
  }
}

// What was decided in the last step is carried out up to the next call of the file system.
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function run(seed: number, processes: number, rounds: number): Promise<{ steps: Steps; outcomes: Map<string, string> }> {
  let state = seed >>> 0;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  const steps = new Steps();
  const outcomes = new Map<string, string>();
  const frozenUntil = new Map<number, number>();
  let living = processes;
  const work = Array.from({ length: processes }, async (_, process) => {
    for (let round = 0; round < rounds; round++) {
      const content = `${process}.${round}`;
      outcomes.set(content, await steps.change(process, content));
    }
    living--;
  });
  // Process 0 is never stopped for good: it must come through whatever the others do.
  let isOver = false;
  const first = work[0] as Promise<void>;
  first.then(
    () => {
      isOver = true;
    },
    () => {},
  );
  for (let step = 0; !(isOver && living === 0); step++) {
    if (step > 4000) {
      // The rest is stopped for good.
      if (isOver) break;
      expect.fail(`seed ${seed}: process 0 has not come through in ${step} steps`);
    }
    await settle();
    const able = steps.waiting.filter(({ process }) => (frozenUntil.get(process) ?? 0) <= step);
    const chosen = able[Math.floor(random() * able.length)];
    steps.nowMs += random() < 0.1 ? 150 : 1;
    if (chosen === undefined) continue;
    steps.waiting.splice(steps.waiting.indexOf(chosen), 1);
    chosen.go();
    const chance = random();
    if (chosen.process > 0 && chance < 0.01) frozenUntil.set(chosen.process, Infinity);
    else if (chosen.process > 0 && chance < 0.1) frozenUntil.set(chosen.process, step + Math.floor(random() * 400));
  }
  await settle();
  for (const one of work) one.catch(() => {});
  return { steps, outcomes };
}

test("no change is lost or made over a later one, whoever is stopped at which step", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer(), fc.integer({ min: 2, max: 4 }), async (seed, processes) => {
      const { steps, outcomes } = await run(seed, processes, 4);
      let content: string | undefined = "0";
      for (const { before, expected, after } of steps.changes) {
        expect(before).toBe(content);
        expect(expected).toBe(before);
        content = after;
      }
      expect(steps.target).toBe(content);
      // Who was told that it succeeded has changed the target, once; who was told of a conflict has not.
      const made = steps.changes.map(({ after }) => after);
      expect(new Set(made).size).toBe(made.length);
      for (const [change, outcome] of outcomes) expect(made.includes(change)).toBe(outcome === "replaced");
      expect([...outcomes.keys()].filter((change) => change.startsWith("0."))).toHaveLength(4);
    }),
    { numRuns: 200 },
  );
});

test("an offer that was taken away cannot get into place when its owner goes on", async () => {
  const steps = new Steps();
  const [slow, quick] = [steps.change(0, "slow"), steps.change(1, "quick")];
  const go = async (process: number, count: number): Promise<void> => {
    for (let i = 0; i < count; i++) {
      await settle();
      const at = steps.waiting.findIndex((one) => one.process === process);
      steps.waiting.splice(at, 1)[0]?.go();
      await settle();
    }
  };
  // Both have read "0". The slow one offers, compares, and stands still before the last step.
  await go(1, 1);
  await go(0, 4);
  expect(steps.folders.get("offer")?.size).toBe(1);
  await go(1, 2);
  steps.nowMs += 1000;
  for (let i = 0; i < 30 && steps.target === "0"; i++) {
    steps.nowMs += 50;
    await go(1, 1);
  }
  expect(steps.target).toBe("quick");
  for (let i = 0; i < 20; i++) {
    await go(0, 1);
    await go(1, 1);
  }
  expect([await slow, await quick]).toEqual(["conflict", "replaced"]);
  expect(steps.target).toBe("quick");
});
