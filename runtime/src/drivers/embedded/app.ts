// An application in one process: its part in the group, its tasks, and its life.
import type { SavepointResult } from "../../checkpoint/savepoint/savepoint-result.ts";
import { MillraceError, messageOf } from "../../base/errors.ts";
import { WakeFlag } from "../../base/wake-flag.ts";
import type { ClientOptions } from "../../connectors/kafka/client/client-options.ts";
import { GroupMembership } from "../../connectors/kafka/group/group-membership.ts";
import type { Job } from "../../dsl/job.ts";
import type { Dataflow } from "../../plan/dataflow.ts";
import { ClientPool } from "./client-pool.ts";
import { AppDisk } from "./app-disk.ts";
import { type AppPlan, checkDataflow, firstCluster, planApp } from "./app-plan.ts";
import { AppState, type EmbeddedHealth, type EmbeddedState, type StateListener } from "./app-state.ts";
import { decodeOrders, missesAddress, type Orders } from "./assignment/group-protocol.ts";
import { type CompleteConfig, completeConfig, type EmbeddedConfig, type EmbeddedParts } from "./config.ts";
import { membershipOptions, newsOf, refusedError } from "./group-news.ts";
import { lead } from "./leader.ts";
import { AppQueries } from "./queries/app-queries.ts";
import { askStore } from "./queries/query-client.ts";
import { fetchBytes, letterTopic, openHost, producerOptions } from "./open-host.ts";
import { appControl, type AppServer, startAppServer } from "./rest/app-server.ts";
import type { AppSavepointMode } from "./control/control-state.ts";
import { AppSavepoints } from "./savepoint/app-savepoints.ts";
import type { AppCounts } from "./rest/app-metrics.ts";
import type { TaskFigures } from "./task/task-figures.ts";
import { type AppView, viewOf } from "./rest/app-view.ts";
import { StandbySet, openFollowers } from "./standby-set.ts";
import { type Purging, purgeRegularly } from "./purge-regularly.ts";
import { TaskSet } from "./task-set.ts";
import { ensureInternalTopics, internalTopics } from "./topology/internal-topics.ts";

const defaultCloseMs = 30_000;
const askTimeoutMs = 10_000;

export class EmbeddedApp {
  readonly applicationId: string;
  /** Settles when the application is closed; rejects with what it failed of. */
  readonly done: Promise<void>;
  readonly #config: CompleteConfig;
  readonly #dataflow: Dataflow;
  readonly #cluster: ClientOptions;
  readonly #state: AppState = new AppState();
  readonly #clients: ClientPool;
  readonly #ended: PromiseWithResolvers<void> = Promise.withResolvers<void>();
  #tasks: TaskSet | undefined;
  #standbys: StandbySet | undefined;
  #membership: GroupMembership | undefined;
  #running: Promise<void> | undefined;
  #orders: Orders | undefined;
  #round = 0;
  #shutdown: string | undefined;
  #disk: AppDisk | undefined;
  #plan: AppPlan | undefined;
  #server: AppServer | undefined;
  #savepoints: AppSavepoints | undefined;
  /** What its stores hold, wherever in the application it is. */
  readonly queries: AppQueries;
  /** The savepoint that the application was stopped with. */
  #stoppedWith: string | undefined;
  #purging: Purging | undefined;
  /** Of copies that were on disk at the start, until the first orders. */
  #foundLags: Readonly<Record<string, number>> = {};
  #closing: Promise<void> | undefined;

  constructor(job: Job, config: EmbeddedConfig, parts: EmbeddedParts) {
    this.#config = completeConfig(config, parts);
    this.#dataflow = job.build(this.#config.parameters);
    this.applicationId = this.#config.applicationId ?? this.#dataflow.name;
    const cluster = this.#config.client ?? firstCluster(this.#dataflow, this.applicationId);
    this.#cluster = cluster;
    this.#clients = new ClientPool(cluster, this.#config.openClient);
    checkDataflow(this.#dataflow, cluster);
    this.queries = new AppQueries({
      plan: () => this.#plan,
      config: this.#config,
      tasks: () => this.#tasks,
      orders: () => this.#orders ?? {},
      copy: (id, uid) => this.#standbys?.copyOf(id, uid),
      ask: (url, request) => askStore(url, request, this.#config.http?.token?.(), askTimeoutMs),
    });
    this.done = this.#ended.promise;
    // Whoever does not look at it learns of a failure by the state.
    this.done.catch(() => undefined);
  }

  get state(): EmbeddedState {
    return this.#state.current;
  }

  onState(listener: StateListener): void {
    this.#state.listen(listener);
  }

  health(): EmbeddedHealth {
    return { state: this.state, ready: this.state === "running", tasks: this.#tasks?.status() ?? [] };
  }

  /** What `GET /v1/app` answers. */
  view(): AppView {
    return viewOf({
      applicationId: this.applicationId,
      processId: this.#config.processId,
      instanceId: this.#config.instanceId,
      state: this.state,
      fingerprint: this.#plan?.fingerprint,
      totalTasks: this.#plan?.tasks.length ?? 0,
      tasks: this.#tasks?.status() ?? [],
      standbys: this.#standbys?.lags() ?? {},
      generation: this.#savepoints?.generation ?? 0,
    });
  }

  /** What metrics are made of: what the tasks tell, and what has happened so far. */
  figures(): { readonly tasks: readonly TaskFigures[]; readonly counts: AppCounts } {
    return this.#tasks?.figures() ?? { tasks: [], counts: { rebalances: 0, taskFailures: 0 } };
  }

  /**
   * A consistent copy of the whole application's state, in the format of all shapes, under `id` in its `savepointStorage`. Sources wait until
   * all tasks have read theirs; with `stop` all processes end there. The same id again gives the same savepoint. Rejects with
   * SAVEPOINT_NO_STORAGE, SAVEPOINT_ID_INVALID or SAVEPOINT_FAILED.
   */
  async savepoint(id: string, mode: AppSavepointMode = "keep"): Promise<SavepointResult> {
    if (this.#savepoints === undefined)
      throw new MillraceError("SAVEPOINT_FAILED", `savepoint "${id}"`, `the application is ${this.state}`, "ask when it runs");
    return this.#savepoints.take(id, mode);
  }

  /** Where its HTTP server listens; undefined without one. */
  get url(): string | undefined {
    return this.#server?.url;
  }

  /** Checks the topics, creates its own, and joins the group; resolves when it takes part. Rejects with what is not as it must be. */
  async start(): Promise<void> {
    if (this.state !== "created")
      throw new MillraceError("EMBEDDED_STARTED", `application ${this.applicationId}`, "was started already", "make a new one");
    this.#state.to("rebalancing");
    try {
      await this.#open();
    } catch (error) {
      this.#state.to("error");
      await this.close(0);
      throw error;
    }
  }

  async #open(): Promise<void> {
    const config = this.#config;
    const { applicationId } = this;
    // Probes are answered from the beginning on: a restore takes its time.
    if (config.http !== undefined)
      this.#server = await startAppServer(
        appControl(this, async (id) => this.#savepoints?.find(id)),
        config.http,
      );
    const client = this.#clients.connect(fetchBytes);
    const plan = await planApp(this.#dataflow, applicationId, config.maxParallelism, client);
    this.#plan = plan;
    await ensureInternalTopics(client, internalTopics(plan.topology, plan.counts), {
      replicationFactor: config.replicationFactor,
      configs: config.topicConfigs,
    });
    const letters = await letterTopic(client, config);
    const savepoints = await AppSavepoints.open({
      applicationId,
      dataflow: this.#dataflow,
      plan,
      config,
      client,
      controlClient: this.#clients.connect(fetchBytes / 4),
      failureTimeoutMs: this.#cluster.retryTimeoutMs,
      producer: producerOptions(this.#cluster),
      tasks: { joinCut: (attempt) => this.#tasks?.joinCut(attempt), release: () => this.#tasks?.release() },
      ready: () => this.state === "running",
      stopped: (id) => this.#stop(id),
    });
    this.#savepoints = savepoints;
    this.#disk = await AppDisk.open(config.stateDirectory, applicationId, config.clock);
    const flag = new WakeFlag();
    const host = openHost({
      applicationId,
      config,
      cluster: this.#cluster,
      plan,
      client,
      restoringClient: this.#clients.connect(fetchBytes),
      disk: this.#disk,
      flag,
      member: () => (this.#membership as GroupMembership).member,
      restored: savepoints.origin,
      letters,
    });
    this.#foundLags = await this.#disk.lags(plan.places, client, host.isolation);
    const standbys = new StandbySet(host, plan.places, config.acceptableLag, { warmed: () => this.#warmed() });
    this.#standbys = standbys;
    this.#tasks = new TaskSet(
      host,
      plan.places,
      {
        changed: () => this.#tasksChanged(),
        cut: (cut) => savepoints.keeper.cutMade(cut),
        cutMissed: (taskId) => savepoints.keeper.abort(`task ${taskId} had gone on before its cut`),
        holdsOpened: () => savepoints.keeper.holdsTasks,
        released: () => this.#rejoin(),
        failed: (error, taskId) => this.#taskFailed(error, taskId),
        followers: async (place) => {
          // Whoever had the task before may have given it up because of a savepoint.
          await savepoints.catchUp();
          return (await standbys.take(place.id)) ?? (await openFollowers(host, place));
        },
      },
      flag,
    );
    this.#membership = new GroupMembership(
      membershipOptions(applicationId, config),
      {
        metadata: () => this.#news(plan),
        assign: (members) => lead(applicationId, plan, members, config),
        assigned: (bytes) => this.#obey(decodeOrders(bytes)),
        lost: () => this.#lose(),
        failed: (error) => this.#fail(error),
      },
      { client, clock: config.clock, log: config.log, random: config.random },
    );
    this.#running = this.#tasks.run().catch((error: unknown) => this.#fail(error));
    this.#membership.start();
    this.#purging = purgeRegularly(this.#tasks, config.purgeIntervalMs, config.clock);
    this.#disk.cleanRegularly(config.stateCleanupMs, config.clock, plan.places, () => this.#used());
  }

  // The tasks whose copies are in use; undefined while the group has not said what this process is to do.
  #used(): readonly string[] | undefined {
    return this.#orders && [...this.#orders.active, ...this.#orders.standby, ...(this.#tasks?.owned() ?? [])];
  }

  #news(plan: AppPlan): Buffer {
    // The membership asks for it when it joins: a round of the group begins.
    if (!this.#state.isOver) this.#state.to("rebalancing");
    return newsOf({
      plan,
      config: this.#config,
      owned: this.#tasks?.owned() ?? [],
      lags: { ...this.#foundLags, ...this.#standbys?.lags() },
      round: this.#round,
      shutdown: this.#shutdown,
      url: this.#config.http?.advertisedUrl ?? this.url,
    });
  }

  #obey(orders: Orders): void {
    if (this.#state.isOver) return;
    this.#orders = orders;
    this.#foundLags = {};
    if (orders.refused !== undefined) {
      this.#fail(refusedError(this.applicationId, orders.refused));
      return;
    }
    this.#config.log.info("tasks assigned", { active: orders.active, pending: orders.pending });
    this.#standbys?.want(orders.standby, orders.active);
    this.#tasks?.want(orders.active);
    if (missesAddress(orders, this.#config.http?.advertisedUrl ?? this.url)) this.#rejoin();
    this.#refresh();
  }

  // What was given back may go to its next owner: another round.
  #rejoin(): void {
    if (this.#state.isOver) return;
    this.#round++;
    this.#membership?.rejoin();
  }

  // A task that waited for this copy can move now.
  #warmed(): void {
    if ((this.#orders?.pending ?? 0) > 0) this.#rejoin();
  }

  #lose(): void {
    this.#orders = undefined;
    this.#tasks?.lose();
    this.#refresh();
  }

  #refresh(): void {
    if (this.#state.isOver || this.#tasks === undefined) return;
    if (this.#orders === undefined || this.#membership?.state !== "stable") this.#state.to("rebalancing");
    else if (this.#tasks.allRunning) this.#state.to("running");
    else this.#state.to(this.#state.current === "running" ? "rebalancing" : "restoring");
  }

  #tasksChanged(): void {
    this.#savepoints?.keeper.abort("a task moved or failed");
    this.#refresh();
  }

  // All tasks stand still behind the cut, and what others start from it does the rest.
  #stop(savepointId: string): void {
    if (this.#state.isOver) return;
    this.#config.log.info("stopped with a savepoint", { applicationId: this.applicationId, savepointId });
    this.#stoppedWith = savepointId;
    this.close().catch((error: unknown) => this.#config.log.error("close failed", { reason: messageOf(error) }));
  }

  #taskFailed(error: unknown, taskId: string): boolean {
    if (this.#state.isOver) return false;
    const response = this.#config.onFailure(error, taskId);
    if (response === "replace") return true;
    if (response === "shutdown-application") {
      this.#shutdown = `task ${taskId} failed: ${messageOf(error)}`;
      this.#rejoin();
      return false;
    }
    this.#fail(error);
    return false;
  }

  #fail(error: unknown): void {
    if (this.#state.isOver) return;
    this.#config.log.error("the application failed", { applicationId: this.applicationId, reason: messageOf(error) });
    this.#state.to("error");
    this.#ended.reject(error);
    void this.close();
  }

  /**
   * Commits and closes all tasks, leaves the group and disconnects; what is not done within `timeoutMs` is left to whoever takes the
   * tasks over. A process with an instance id keeps its place in the group for a session.
   */
  close(timeoutMs: number = defaultCloseMs): Promise<void> {
    this.#closing ??= this.#close(timeoutMs);
    return this.#closing;
  }

  async #close(timeoutMs: number): Promise<void> {
    const clean = this.#state.current !== "error" && this.#stoppedWith === undefined;
    const late = new Promise<void>((resolve) => setTimeout(resolve, timeoutMs).unref());
    const tasks = (async () => {
      await this.#tasks?.stop(clean);
      await this.#standbys?.close();
      await this.#membership?.leave(this.#stoppedWith !== undefined);
    })();
    await Promise.race([tasks, late]);
    await this.#savepoints?.close();
    await this.#clients.close();
    await Promise.all([tasks, this.#membership?.ended(), this.#running, this.#purging?.end()]);
    await this.#disk?.close();
    this.#state.to("closed");
    await this.#server?.close();
    this.#ended.resolve();
  }
}
