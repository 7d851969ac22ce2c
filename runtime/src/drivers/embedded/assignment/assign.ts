// Who runs which task: a pure function of the tasks, the members, and what each of them runs and keeps warm now.

export interface AssignableTask {
  /** `<sub-topology>_<partition>`. */
  readonly id: string;
  readonly subTopology: number;
  readonly partition: number;
  /** Has state that a new owner would have to restore. */
  readonly stateful: boolean;
}

export interface Member {
  readonly memberId: string;
  /** Where it runs: standbys go to another rack where there is one. */
  readonly rack: string | undefined;
  /** Tasks that it runs now. */
  readonly owned: ReadonlySet<string>;
  /** Tasks of whose state it has a copy, with how many changelog records that copy is behind; 0 for what it runs. */
  readonly lags: ReadonlyMap<string, number>;
}

export interface AssignmentOptions {
  /** Copies of each stateful task besides the one that runs. */
  readonly standbys: number;
  /** A copy that is behind by no more than this is as good as the task itself. */
  readonly acceptableLag: number;
  /** Copies that are made at once so that tasks can move. */
  readonly maxWarmups: number;
}

export interface MemberAssignment {
  /** To run. */
  readonly active: readonly string[];
  /** To keep a copy of: standbys, and warm-ups of what is to move here. */
  readonly standby: readonly string[];
}

export interface GroupAssignment {
  readonly byMember: ReadonlyMap<string, MemberAssignment>;
  /** Tasks that are to move once their new owner is warm: the group has to look again. */
  readonly warming: readonly string[];
  /** Tasks that nobody gets in this round, because whoever runs them has to give them back first. */
  readonly handedOver: readonly string[];
}

class Place {
  readonly member: Member;
  readonly active = new Set<string>();
  readonly standby = new Set<string>();
  readonly #bySubTopology = new Map<number, number>();

  constructor(member: Member) {
    this.member = member;
  }

  take(task: AssignableTask): void {
    this.active.add(task.id);
    this.#bySubTopology.set(task.subTopology, this.of(task.subTopology) + 1);
  }

  drop(task: AssignableTask): void {
    this.active.delete(task.id);
    this.#bySubTopology.set(task.subTopology, this.of(task.subTopology) - 1);
  }

  /** How many tasks of a sub-topology it has: they are alike, so they are spread. */
  of(subTopology: number): number {
    return this.#bySubTopology.get(subTopology) ?? 0;
  }

  isWarm(task: AssignableTask, acceptableLag: number): boolean {
    if (!task.stateful || this.member.owned.has(task.id)) return true;
    const lag = this.member.lags.get(task.id);
    return lag !== undefined && lag <= acceptableLag;
  }
}

/** The same input gives the same assignment, whoever computes it. Every task is in exactly one `active` list or handed over. */
export function assignTasks(tasks: readonly AssignableTask[], members: readonly Member[], options: AssignmentOptions): GroupAssignment {
  const sorted = tasks.toSorted((a, b) => a.subTopology - b.subTopology || a.partition - b.partition);
  const places = members.toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1)).map((member) => new Place(member));
  if (places.length === 0) return { byMember: new Map(), warming: [], handedOver: sorted.map((task) => task.id) };
  const owners = ownersOf(sorted, places);
  balance(sorted, places, owners, options);
  const warming = keepUntilWarm(sorted, places, owners, options);
  placeStandbys(sorted, places, options);
  const handedOver = withhold(sorted, places, owners);
  const byMember = new Map(
    places.map((place) => [place.member.memberId, { active: [...place.active].toSorted(), standby: [...place.standby].toSorted() }]),
  );
  return { byMember, warming, handedOver };
}

// A task has one owner. Where two claim it, one of them does not know yet that it lost it: neither is kept from giving it back.
function ownersOf(tasks: readonly AssignableTask[], places: readonly Place[]): ReadonlyMap<string, Place> {
  const owners = new Map<string, Place>();
  for (const { id } of tasks) {
    const claims = places.filter((place) => place.member.owned.has(id));
    if (claims.length === 1 && claims[0] !== undefined) owners.set(id, claims[0]);
  }
  return owners;
}

// Each member gets as many tasks as the others, give or take one, and keeps what it has up to that.
function balance(
  tasks: readonly AssignableTask[],
  places: readonly Place[],
  owners: ReadonlyMap<string, Place>,
  { acceptableLag }: AssignmentOptions,
): void {
  for (const task of tasks) owners.get(task.id)?.take(task);
  const least = Math.floor(tasks.length / places.length);
  // Those that have most may keep one more: nothing moves that need not.
  const extra = new Set(places.toSorted((a, b) => b.active.size - a.active.size).slice(0, tasks.length % places.length));
  const quota = (place: Place): number => least + (extra.has(place) ? 1 : 0);
  const open = tasks.filter((task) => !owners.has(task.id));
  for (const place of places) {
    while (place.active.size > quota(place)) open.push(giveUp(tasks, place, places, acceptableLag));
  }
  const free = (): readonly Place[] => places.filter((place) => place.active.size < quota(place));
  // First to whom they cost nothing, then the rest, evenly by sub-topology.
  const cold: AssignableTask[] = [];
  for (const task of open.toSorted((a, b) => Number(b.stateful) - Number(a.stateful))) {
    const warm = task.stateful ? free().filter((place) => place.isWarm(task, acceptableLag)) : [];
    const best = leastOf(warm, (place) => [place.of(task.subTopology), place.active.size]);
    if (best === undefined) cold.push(task);
    else best.take(task);
  }
  for (const task of cold) {
    const copied = (place: Place): number => (place.member.lags.has(task.id) ? 0 : 1);
    leastOf(free(), (place) => [copied(place), place.of(task.subTopology), place.active.size])?.take(task);
  }
}

// The task that a member with too many gives up: one that another member has warm, else one of the sub-topology it has most of.
function giveUp(tasks: readonly AssignableTask[], place: Place, places: readonly Place[], acceptableLag: number): AssignableTask {
  const own = tasks.filter((task) => place.active.has(task.id));
  const cost = (task: AssignableTask): number =>
    !task.stateful ? 0 : places.some((other) => other !== place && other.isWarm(task, acceptableLag)) ? 1 : 2;
  const given = leastOf(own, (task) => [-place.of(task.subTopology), cost(task), -task.partition]);
  if (given === undefined) throw new Error("a member that has too many tasks has none");
  place.drop(given);
  return given;
}

// A task with state stays where it is, or goes to whoever has a warm copy, until its new place has one.
function keepUntilWarm(
  tasks: readonly AssignableTask[],
  places: readonly Place[],
  owners: ReadonlyMap<string, Place>,
  { acceptableLag, maxWarmups }: AssignmentOptions,
): readonly string[] {
  const warming: string[] = [];
  let copies = 0;
  for (const task of tasks) {
    const target = places.find((place) => place.active.has(task.id));
    if (target === undefined || target.isWarm(task, acceptableLag)) continue;
    const warm = places.filter((place) => place !== target && place.isWarm(task, acceptableLag));
    const keeper = owners.get(task.id) ?? leastOf(warm, (place) => [place.active.size]);
    if (keeper === undefined || keeper === target) continue;
    target.drop(task);
    keeper.take(task);
    warming.push(task.id);
    if (copies++ < maxWarmups) target.standby.add(task.id);
  }
  return warming;
}

function placeStandbys(tasks: readonly AssignableTask[], places: readonly Place[], { standbys }: AssignmentOptions): void {
  for (const task of tasks) {
    if (!task.stateful) continue;
    const active = places.find((place) => place.active.has(task.id));
    // A warm-up is a copy besides the standbys, not instead of one.
    const candidates = places.filter((place) => place !== active && !place.standby.has(task.id));
    const racks = new Set([active?.member.rack]);
    for (let copy = 0; copy < standbys; copy++) {
      const chosen = leastOf(candidates, (place) => [
        racks.has(place.member.rack) ? 1 : 0,
        place.member.lags.has(task.id) ? 0 : 1,
        place.standby.size,
        place.active.size,
      ]);
      if (chosen === undefined) break;
      candidates.splice(candidates.indexOf(chosen), 1);
      chosen.standby.add(task.id);
      racks.add(chosen.member.rack);
    }
  }
}

// Nobody starts a task that another one still runs: it is given back first, and handed out in the round after.
function withhold(tasks: readonly AssignableTask[], places: readonly Place[], owners: ReadonlyMap<string, Place>): readonly string[] {
  const handedOver: string[] = [];
  for (const task of tasks) {
    const target = places.find((place) => place.active.has(task.id));
    const claimed = places.some((place) => place !== target && place.member.owned.has(task.id));
    if (target === undefined || !claimed || owners.get(task.id) === target) continue;
    target.drop(task);
    // Until it is its turn it keeps the copy that it was chosen for.
    if (task.stateful) target.standby.add(task.id);
    handedOver.push(task.id);
  }
  return handedOver;
}

/** The first of `items` whose ranking is least, compared part by part. */
function leastOf<T>(items: readonly T[], rank: (item: T) => readonly number[]): T | undefined {
  let best: T | undefined;
  let bestRank: readonly number[] = [];
  for (const item of items) {
    const ranks = rank(item);
    const at = ranks.findIndex((value, index) => value !== bestRank[index]);
    if (best !== undefined && (at < 0 || (ranks[at] as number) > (bestRank[at] as number))) continue;
    best = item;
    bestRank = ranks;
  }
  return best;
}
