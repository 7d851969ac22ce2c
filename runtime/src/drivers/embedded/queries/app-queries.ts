// Queries of an application's stores, asked at any of its processes: by key they go to the owner, others to all owners, and answers come together.
import type { Clock } from "../../../base/clock.ts";
import { isMillraceError, MillraceError, messageOf } from "../../../base/errors.ts";
import { keyGroupOf } from "../../../core/keys/key-batch.ts";
import type { KeyLayout } from "../../../core/keys/key-layout.ts";
import { ownerOfKeyGroup } from "../../../plan/key-groups.ts";
import type { AppPlan } from "../app-plan.ts";
import type { Orders } from "../assignment/group-protocol.ts";
import { taskId, type SubTopology } from "../topology/sub-topologies.ts";
import type { QueryTable, TaskStores } from "./queryable-state.ts";
import { readCopy, type StandbyCopy } from "./standby-read.ts";
import { keyOf, limitOf, queryTable, type StoreQuery, type StoreRow, type StoreRows } from "./store-query.ts";

/** By partition of the inputs of the tasks that answered: the next record that they will process. */
export type Positions = Readonly<Record<string, number>>;

export interface QueryAnswer extends StoreRows {
  readonly positions: Positions;
  /** Of the tasks that a copy answered for: how many records it was behind. */
  readonly lags?: Readonly<Record<string, number>>;
}

export interface QueryRequest {
  readonly uid: string;
  readonly query: StoreQuery;
  /** Only an answer from tasks that have come so far: the positions of an earlier answer. */
  readonly after?: Positions;
  /** A standby's copy may answer, which is behind: where the process that is asked has one, or the owner does not answer. */
  readonly stale?: boolean;
  /** Of these tasks, which are all here: a process asks another one. */
  readonly tasks?: readonly string[];
}

/** A task of this process that runs. */
export interface QueriedTask {
  readonly stores: TaskStores;
  readonly inputs: { positions(): Positions };
}

/** What this process has. */
export interface QueriedTasks {
  running(id: string): QueriedTask | undefined;
  globalTable(uid: string): { readonly store: QueryTable; positions(): Positions } | undefined;
}

export interface AppQueriesParts {
  readonly plan: () => AppPlan | undefined;
  readonly config: { readonly maxParallelism: number; readonly clock: Clock };
  readonly tasks: () => QueriedTasks | undefined;
  /** The addresses of processes, with the tasks of each, and with the tasks of whose state each has a copy. */
  readonly orders: () => Pick<Orders, "hosts" | "copies">;
  /** What this process has a copy of. */
  readonly copy: (taskId: string, uid: string) => StandbyCopy | undefined;
  /** Asks the process at `url` for what it has. */
  readonly ask: (url: string, request: QueryRequest) => Promise<QueryAnswer>;
}

export interface StoreView {
  readonly uid: string;
  readonly table: string;
  readonly form: "table" | "multi";
  readonly key: readonly string[];
  readonly value: readonly string[];
}

export class AppQueries {
  readonly #parts: AppQueriesParts;

  constructor(parts: AppQueriesParts) {
    this.#parts = parts;
  }

  /** The stores of the tasks that are here. */
  stores(): readonly StoreView[] {
    const found = new Map<string, StoreView>();
    for (const id of this.#parts.plan()?.places.keys() ?? []) {
      for (const [uid, tables] of this.#task(id)?.stores.all() ?? []) {
        for (const { form, spec } of tables) {
          const names = (fields: readonly { readonly name: string }[]): readonly string[] => fields.map(({ name }) => name);
          const value = names((spec.shown?.schema ?? spec.value).fields);
          found.set(`${uid}/${spec.name}`, { uid, table: spec.name, form, key: names(spec.key.schema.fields), value });
        }
      }
    }
    return [...found.values()];
  }

  /** Rejects with STORE_UNKNOWN, STORE_NOT_READY (ask again), QUERY_BEHIND (ask again later) or QUERY_INVALID. */
  async query(request: QueryRequest): Promise<QueryAnswer> {
    const { uid, query, tasks, stale = false } = request;
    if (stale) checkStale(request);
    if (tasks !== undefined) return stale ? this.#local(request, tasks) : this.#here(request, tasks);
    if (this.#isGlobal(uid)) return this.#whole(request);
    const subTopology = this.#parts.plan()?.topology.subTopologies.find(({ stores }) => stores.some((store) => store.uid === uid));
    if (this.#parts.plan() === undefined) throw notReady(uid, "the application has not started");
    if (subTopology === undefined) throw unknown(uid, "the job has no operator with state of this uid");
    const wanted = "key" in query ? [this.#taskOfKey(subTopology, uid, query.key)] : this.#tasksOf(subTopology);
    if (stale) return joined(await Promise.all(wanted.map((id) => this.#anywhere(request, id))), limitOf(query));
    const here = wanted.filter((id) => this.#task(id) !== undefined);
    const elsewhere = this.#byHost(
      uid,
      wanted.filter((id) => !here.includes(id)),
    );
    // First what may throw at once: an answer that nobody waits for would have no owner.
    const own = here.length === 0 ? [] : [this.#here(request, here)];
    const asked = [...elsewhere].map(([url, ids]) => this.#ask(url, { ...request, tasks: ids }));
    return joined([...own, ...(await Promise.all(asked))], limitOf(query));
  }

  #task(id: string): QueriedTask | undefined {
    return this.#parts.tasks()?.running(id);
  }

  #isGlobal(uid: string): boolean {
    return this.#parts.plan()?.topology.subTopologies.some(({ tables }) => tables.some((table) => table.uid === uid)) ?? false;
  }

  // Every process whose tasks join with it has all of it.
  #whole({ uid, query, after = {} }: QueryRequest): QueryAnswer {
    const found = this.#parts.tasks()?.globalTable(uid);
    if (found === undefined) throw notReady(uid, "this process does not hold the global table, or has not read it yet");
    const positions = found.positions();
    checkReached(uid, positions, after);
    return { ...queryTable(found.store, query), positions };
  }

  #tasksOf({ id }: SubTopology): readonly string[] {
    const count = this.#parts.plan()?.counts[id] ?? 0;
    return Array.from({ length: count }, (_, partition) => taskId(id, partition));
  }

  #taskOfKey(subTopology: SubTopology, uid: string, key: Parameters<typeof keyOf>[1]): string {
    const { inbound, id } = subTopology;
    // An operator without an exchange of its own has the keys of the one that its rows came by.
    const edge =
      inbound.find((each) => each.consumer.uid === uid && each.key !== undefined) ?? inbound.find((each) => each.key !== undefined);
    if (edge?.key === undefined) throw unknown(uid, "its state is not kept by key");
    return taskId(id, this.#partitionOf(edge.key, key, this.#parts.plan()?.counts[id] ?? 1));
  }

  #partitionOf(layout: KeyLayout, key: Parameters<typeof keyOf>[1], partitions: number): number {
    const { maxParallelism } = this.#parts.config;
    return ownerOfKeyGroup(keyGroupOf(keyOf(layout, key).hashes[0] as number, maxParallelism), partitions, maxParallelism);
  }

  #byHost(uid: string, tasks: readonly string[]): ReadonlyMap<string, readonly string[]> {
    const owners = new Map(Object.entries(this.#parts.orders().hosts ?? {}).flatMap(([url, ids]) => ids.map((id) => [id, url] as const)));
    const byHost = new Map<string, string[]>();
    for (const id of tasks) {
      const url = owners.get(id);
      if (url === undefined) throw notReady(uid, `no process that answers queries has task ${id} now`);
      byHost.set(url, [...(byHost.get(url) ?? []), id]);
    }
    return byHost;
  }

  // Here if there is anything of it, else from the owner, else from whoever has a copy.
  async #anywhere(request: QueryRequest, id: string): Promise<QueryAnswer> {
    const { uid } = request;
    if (this.#task(id) !== undefined || this.#parts.copy(id, uid) !== undefined) return this.#local(request, [id]);
    const { hosts: owners, copies } = this.#parts.orders();
    const having = (hosts: Readonly<Record<string, readonly string[]>> = {}): readonly string[] =>
      Object.keys(hosts).filter((url) => hosts[url]?.includes(id));
    let told = notReady(uid, `no process that answers queries has task ${id}, or a copy of it, now`);
    for (const url of [...having(owners), ...having(copies)]) {
      try {
        return await this.#ask(url, { ...request, tasks: [id] });
      } catch (error) {
        if (!isMillraceError(error, "STORE_NOT_READY")) throw error;
        told = error;
      }
    }
    throw told;
  }

  async #local(request: QueryRequest, ids: readonly string[]): Promise<QueryAnswer> {
    const answers: QueryAnswer[] = [];
    for (const id of ids) {
      const copied = this.#task(id) === undefined && this.#parts.copy(id, request.uid) !== undefined;
      answers.push(copied ? await this.#read(request, id) : this.#here(request, [id]));
    }
    return joined(answers, limitOf(request.query));
  }

  async #read({ uid, query }: QueryRequest, id: string): Promise<QueryAnswer> {
    const node = this.#parts
      .plan()
      ?.places.get(id)
      ?.subTopology.nodes.find((each) => each.uid === uid);
    const { maxParallelism, clock } = this.#parts.config;
    if (node === undefined || !("key" in query)) throw notReady(uid, `there is no copy of task ${id} here now`);
    const read = await readCopy(() => this.#parts.copy(id, uid), query, { node, maxParallelism, clock });
    if (read === "no table") throw unknown(uid, `the operator has no table "${query.table}"`);
    if (read === "no copy") throw notReady(uid, `there is no copy of task ${id} here now`);
    const { lag, ...rows } = read;
    return { ...rows, positions: {}, lags: { [id]: lag } };
  }

  async #ask(url: string, request: QueryRequest): Promise<QueryAnswer> {
    try {
      return await this.#parts.ask(url, request);
    } catch (error) {
      if (isMillraceError(error)) throw error;
      throw notReady(request.uid, `the owner at ${url} does not answer: ${messageOf(error)}`);
    }
  }

  #here({ uid, query, after = {} }: QueryRequest, tasks: readonly string[]): QueryAnswer {
    const answers = tasks.map((id): QueryAnswer => {
      const task = this.#task(id);
      if (task === undefined) throw notReady(uid, `task ${id} does not run here now`);
      const store = task.stores.find(uid, query.table);
      if (store === undefined) throw unknown(uid, `the operator has no table "${query.table}"`);
      const positions = task.inputs.positions();
      checkReached(uid, positions, after);
      return { ...queryTable(store, query), positions };
    });
    return joined(answers, limitOf(query));
  }
}

// A copy says when its records were written, not how far the task had come; and it is no table that could be searched.
function checkStale({ uid, query, after }: QueryRequest): void {
  const problem = after === undefined ? "copies answer queries by key" : "`after` and `stale` exclude each other";
  if (after === undefined && "key" in query) return;
  throw new MillraceError("QUERY_INVALID", `query of store ${uid}`, problem, "leave out `stale`, or ask for a key");
}

function checkReached(uid: string, positions: Positions, after: Positions): void {
  for (const [split, position] of Object.entries(after)) {
    const reached = positions[split];
    if (reached === undefined || reached >= position) continue;
    throw new MillraceError(
      "QUERY_BEHIND",
      `store ${uid}`,
      `${split} is processed up to ${reached}, not ${position}`,
      "ask again a little later",
    );
  }
}

function joined(answers: readonly QueryAnswer[], limit: number): QueryAnswer {
  const rows: StoreRow[] = answers.flatMap((answer) => answer.rows);
  const lags = Object.assign({}, ...answers.map((answer) => answer.lags)) as Readonly<Record<string, number>>;
  return {
    ...(Object.keys(lags).length === 0 ? {} : { lags }),
    rows: rows.slice(0, limit),
    complete: rows.length <= limit && answers.every((answer) => answer.complete),
    positions: Object.assign({}, ...answers.map((answer) => answer.positions)) as Positions,
  };
}

function unknown(uid: string, problem: string): MillraceError {
  return new MillraceError("STORE_UNKNOWN", `store ${uid}`, problem, "ask GET /v1/stores for what there is");
}

function notReady(uid: string, problem: string): MillraceError {
  return new MillraceError("STORE_NOT_READY", `store ${uid}`, problem, "ask again when the application has its tasks");
}
