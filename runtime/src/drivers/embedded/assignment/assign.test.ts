// Assignment as a pure function: whole, balanced, sticky, never to a cold place while a warm one exists, one owner at a time.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type AssignableTask, assignTasks, type AssignmentOptions, type GroupAssignment, type Member } from "./assign.ts";

const options: AssignmentOptions = { standbys: 0, acceptableLag: 100, maxWarmups: 2 };

function tasksOf(...partitions: readonly number[]): AssignableTask[] {
  return partitions.flatMap((count, subTopology) =>
    Array.from({ length: count }, (_, partition) => ({
      id: `${subTopology}_${partition}`,
      subTopology,
      partition,
      stateful: subTopology % 2 === 1,
    })),
  );
}

const member = (memberId: string, owned: readonly string[] = [], more: Partial<Member> = {}): Member => ({
  memberId,
  rack: undefined,
  owned: new Set(owned),
  lags: new Map(),
  ...more,
});

/** What members report after they have done as they were told; `warm` says whether copies have caught up. */
function next(members: readonly Member[], { byMember }: GroupAssignment, warm: boolean): Member[] {
  return members.map((each) => {
    const { active, standby } = byMember.get(each.memberId) ?? { active: [], standby: [] };
    const lags = new Map([...standby.map((id) => [id, warm ? 0 : 1_000_000] as const), ...active.map((id) => [id, 0] as const)]);
    return { ...each, owned: new Set(active), lags };
  });
}

/** Holds rounds until nothing changes any more; returns the members then. */
function settle(tasks: readonly AssignableTask[], start: readonly Member[], using = options): { members: Member[]; rounds: number } {
  let members = [...start];
  for (let rounds = 1; rounds < 200; rounds++) {
    const assignment = assignTasks(tasks, members, using);
    const then = next(members, assignment, true);
    if (assignment.warming.length === 0 && assignment.handedOver.length === 0) return { members: then, rounds };
    members = then;
  }
  throw new Error("the group did not settle");
}

const scenario = fc
  .record({
    partitions: fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 4 }),
    count: fc.integer({ min: 1, max: 6 }),
    standbys: fc.integer({ min: 0, max: 2 }),
    seed: fc.array(fc.nat(), { minLength: 40, maxLength: 40 }),
  })
  .map(({ partitions, count, standbys, seed }) => {
    const tasks = tasksOf(...partitions);
    const members = Array.from({ length: count }, (_, index) => {
      // About two of three tasks are owned by somebody, some are claimed twice, some copies exist.
      const owned = tasks.filter(
        (_task, at) => (seed[at] as number) % (count + Math.ceil(count / 2)) === index || (seed[at] as number) % 17 === index,
      );
      const lags = new Map(
        tasks.flatMap((task, at) => ((seed[at] as number) % 5 === index ? [[task.id, ((seed[at] as number) % 7) * 50]] : [])),
      );
      return member(
        `m${index}`,
        owned.map((task) => task.id),
        { lags, rack: `r${index % 3}` },
      );
    });
    return { tasks, members, using: { ...options, standbys } };
  });

describe("one round", () => {
  test("gives each task to one member at most, and to none only while another one still runs it", () => {
    fc.assert(
      fc.property(scenario, ({ tasks, members, using }) => {
        const { byMember, handedOver } = assignTasks(tasks, members, using);
        const given = [...byMember.values()].flatMap((each) => each.active);
        expect([...given, ...handedOver].toSorted()).toEqual(tasks.map((task) => task.id).toSorted());
        for (const id of handedOver) expect(members.filter((each) => each.owned.has(id)).length).toBeGreaterThan(0);
        for (const [memberId, { active }] of byMember) {
          for (const id of active)
            expect(members.filter((each) => each.memberId !== memberId && each.owned.has(id)).map((each) => each.memberId)).toEqual([]);
        }
      }),
    );
  });

  test("never gives a task with state to a cold member while another one has it or a warm copy", () => {
    fc.assert(
      fc.property(scenario, ({ tasks, members, using }) => {
        const { byMember } = assignTasks(tasks, members, using);
        const warm = (each: Member, id: string): boolean => each.owned.has(id) || (each.lags.get(id) ?? Infinity) <= using.acceptableLag;
        for (const each of members) {
          for (const id of byMember.get(each.memberId)?.active ?? []) {
            if (tasks.find((task) => task.id === id)?.stateful !== true || warm(each, id)) continue;
            expect(members.filter((other) => warm(other, id)).map((other) => other.memberId)).toEqual([]);
          }
        }
      }),
    );
  });

  test("does not depend on the order of tasks and members", () => {
    fc.assert(
      fc.property(scenario, ({ tasks, members, using }) => {
        const turned = assignTasks(tasks.toReversed(), members.toReversed(), using);
        expect(new Map([...turned.byMember].toSorted())).toEqual(new Map([...assignTasks(tasks, members, using).byMember].toSorted()));
      }),
    );
  });
});

describe("rounds until the group has settled", () => {
  test("end with counts that differ by one at most, and standbys beside them", () => {
    fc.assert(
      fc.property(scenario, ({ tasks, members, using }) => {
        const { members: settled } = settle(tasks, members, using);
        const counts = settled.map((each) => each.owned.size);
        expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
        const last = assignTasks(tasks, settled, using);
        for (const task of tasks.filter((each) => each.stateful)) {
          const copies = members.filter((each) => last.byMember.get(each.memberId)?.standby.includes(task.id));
          expect(copies.length).toBe(Math.min(using.standbys, members.length - 1));
          for (const copy of copies) expect(last.byMember.get(copy.memberId)?.active).not.toContain(task.id);
        }
      }),
    );
  });

  test("change nothing in a group that is settled", () => {
    fc.assert(
      fc.property(scenario, ({ tasks, members, using }) => {
        const { members: settled } = settle(tasks, members, using);
        const again = assignTasks(tasks, settled, using);
        expect([again.warming, again.handedOver]).toEqual([[], []]);
        for (const each of settled) expect(again.byMember.get(each.memberId)?.active).toEqual([...each.owned].toSorted());
      }),
    );
  });

  test("move as few tasks as balance needs when a member comes or goes", () => {
    fc.assert(
      fc.property(scenario, fc.boolean(), ({ tasks, members, using }, comes) => {
        const { members: settled } = settle(tasks, members, using);
        const changed = comes ? [...settled, member("new")] : settled.slice(1);
        if (changed.length === 0) return;
        const { members: after } = settle(tasks, changed, using);
        const before = new Map(settled.flatMap((each) => [...each.owned].map((id) => [id, each.memberId] as const)));
        const moved = after.flatMap((each) => [...each.owned].filter((id) => before.get(id) !== each.memberId));
        const left = comes ? [] : [...(settled[0]?.owned ?? [])];
        const needed = comes ? Math.floor(tasks.length / changed.length) : left.length;
        // A warm copy takes its task over at once; where that is one too many, another task of its member moves on in place of it.
        const takenOver = using.standbys === 0 ? 0 : left.filter((id) => tasks.some((task) => task.id === id && task.stateful)).length;
        expect(moved.length).toBeGreaterThanOrEqual(needed);
        expect(moved.length).toBeLessThanOrEqual(needed + takenOver);
      }),
    );
  });
});

describe("a place", () => {
  test("is kept by a member that comes back to its own disk", () => {
    const tasks = tasksOf(0, 6);
    const one = member("a", ["1_0", "1_1", "1_2"]);
    const back = member("b", [], { lags: new Map(["1_3", "1_4", "1_5"].map((id) => [id, 20])) });
    const { byMember, warming } = assignTasks(tasks, [one, back], options);
    expect(byMember.get("b")?.active).toEqual(["1_3", "1_4", "1_5"]);
    expect(warming).toEqual([]);
  });

  test("is made warm before a task moves to it, a few at a time", () => {
    const tasks = tasksOf(0, 8);
    const all = tasks.map((task) => task.id);
    let members = [member("a", all), member("b")];
    const first = assignTasks(tasks, members, options);
    expect(first.byMember.get("a")?.active).toEqual(all);
    expect(first.byMember.get("b")).toEqual({ active: [], standby: [expect.any(String), expect.any(String)] });
    expect(first.warming.length).toBe(4);
    members = next(members, first, false);
    expect(assignTasks(tasks, members, options).byMember.get("a")?.active).toEqual(all);
    members = next(members, first, true);
    const second = assignTasks(tasks, members, options);
    expect(second.handedOver).toEqual(first.byMember.get("b")?.standby);
  });

  test("with a copy takes over at once when the owner is gone, though it then has too many", () => {
    const tasks = tasksOf(0, 4);
    const warm = member("a", ["1_0", "1_1"], {
      lags: new Map([
        ["1_2", 0],
        ["1_3", 0],
      ]),
    });
    const { byMember, warming } = assignTasks(tasks, [warm, member("b")], options);
    expect(byMember.get("a")?.active).toEqual(["1_0", "1_1", "1_2", "1_3"]);
    expect(warming.length).toBe(2);
  });

  test("in another rack gets the standby", () => {
    const tasks = tasksOf(0, 1);
    const members = [member("a", ["1_0"], { rack: "x" }), member("b", [], { rack: "x" }), member("c", [], { rack: "y" })];
    expect(assignTasks(tasks, members, { ...options, standbys: 1 }).byMember.get("c")?.standby).toEqual(["1_0"]);
  });

  test("has tasks of every sub-topology", () => {
    const { members } = settle(tasksOf(4, 4), [member("a"), member("b")]);
    for (const each of members) {
      expect([...each.owned].filter((id) => id.startsWith("0_")).length).toBe(2);
      expect([...each.owned].filter((id) => id.startsWith("1_")).length).toBe(2);
    }
  });
});
