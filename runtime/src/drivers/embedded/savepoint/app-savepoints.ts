// The savepoints of an application in one process: what it began from, whether it may begin at all, and the savepoints that it takes part in.
import { MillraceError } from "../../../base/errors.ts";
import { openStorage } from "../../../checkpoint/storage/open-storage.ts";
import { type SavepointResult, savepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";
import type { Restored } from "../../../checkpoint/store/restored.ts";
import type { KafkaClient } from "../../../connectors/kafka/client/kafka-client.ts";
import type { ProducerOptions } from "../../../connectors/kafka/sink/record-producer.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";
import type { Dataflow } from "../../../plan/dataflow.ts";
import { planFingerprint, planOf } from "../../../plan/plan.ts";
import type { AppPlan } from "../app-plan.ts";
import type { CompleteConfig } from "../config.ts";
import { ControlLog, controlTopic } from "../control/control-log.ts";
import { type AppSavepointMode, stoppedWith } from "../control/control-state.ts";
import type { RestoredOrigin } from "../task/task-host.ts";
import { leaveLastWords } from "./last-words.ts";
import { openRestored, restoreApplication } from "./restore-application.ts";
import { type CutTasks, SavepointKeeper } from "./savepoint-keeper.ts";

export interface AppSavepointsParts {
  readonly applicationId: string;
  readonly dataflow: Dataflow;
  readonly plan: AppPlan;
  readonly config: CompleteConfig;
  readonly client: KafkaClient;
  /** For the control topic alone. */
  readonly controlClient: KafkaClient;
  readonly failureTimeoutMs: number;
  readonly producer: ProducerOptions;
  readonly tasks: CutTasks;
  /** All tasks of this process run. */
  readonly ready: () => boolean;
  readonly stopped: (id: string) => void;
}

export class AppSavepoints {
  readonly #parts: AppSavepointsParts;
  readonly #control: ControlLog;
  readonly #keeper: SavepointKeeper;
  #storage: Promise<SnapshotStorage> | undefined;
  #opened: ReturnType<typeof openRestored> | undefined;
  readonly #asked = new Map<string, Promise<SavepointResult>>();

  private constructor(parts: AppSavepointsParts, control: ControlLog) {
    this.#parts = parts;
    this.#control = control;
    const { config, dataflow, plan, applicationId } = parts;
    this.#keeper = new SavepointKeeper({
      ...parts,
      control,
      stopped: (id) => {
        leaveLastWords(config.terminationLog, control.state, config.log);
        parts.stopped(id);
      },
      processId: config.processId,
      jobName: dataflow.name,
      applicationId,
      planFingerprint: planFingerprint(planOf(dataflow)),
      maxParallelism: config.maxParallelism,
      counts: plan.counts,
      taskCount: plan.tasks.length,
      storage: () => this.#openStorage(),
      timeoutMs: config.savepointTimeoutMs,
      clock: config.clock,
      log: config.log,
    });
  }

  /**
   * Restores the application where that is asked for and was not done. Rejects as `restoreApplication` does, and with EMBEDDED_STOPPED for an
   * application that was stopped with a savepoint.
   */
  static async open(parts: AppSavepointsParts): Promise<AppSavepoints> {
    const { config, applicationId, controlClient, producer, failureTimeoutMs } = parts;
    const { clock, log, random, transactionTimeoutMs } = config;
    const late: { savepoints?: AppSavepoints } = {};
    const topic = controlTopic(applicationId);
    const control = await ControlLog.open({
      client: controlClient,
      topic,
      producer,
      transactionTimeoutMs,
      failureTimeoutMs,
      clock,
      log,
      random,
      changed: () => late.savepoints?.look(),
    });
    const savepoints = new AppSavepoints(parts, control);
    try {
      await savepoints.#begin();
    } catch (error) {
      await savepoints.close();
      throw error;
    }
    late.savepoints = savepoints;
    return savepoints;
  }

  async #begin(): Promise<void> {
    const { config, applicationId } = this.#parts;
    const { fromSavepoint: location, restoreId = location } = config;
    // Everybody who could have written the manifest died: what it takes is in the topic.
    if (stoppedWith(this.#control.state) !== undefined) await this.#keeper.publish();
    if (location !== undefined && restoreId !== undefined)
      await restoreApplication({ ...this.#parts, control: this.#control }, { location, restoreId });
    const stopped = stoppedWith(this.#control.state);
    if (stopped === undefined) return;
    leaveLastWords(config.terminationLog, this.#control.state, config.log);
    const url = this.#control.state.round?.result?.url;
    throw new MillraceError(
      "EMBEDDED_STOPPED",
      `application ${applicationId}`,
      `was stopped with savepoint "${stopped}"${url === undefined ? "" : ` (${url})`}: what comes after it belongs to whoever starts from it`,
      "start from it with fromSavepoint, or reset the application",
    );
  }

  /** What the application was restored from. */
  get origin(): RestoredOrigin | undefined {
    const { origin } = this.#control.state;
    if (origin === undefined) return undefined;
    return {
      generation: origin.generation,
      open: async (): Promise<Restored> => {
        this.#opened ??= openRestored(origin.location, this.#parts.config.storageOptions);
        return (await this.#opened).restored;
      },
    };
  }

  get generation(): number {
    return this.#control.state.origin?.generation ?? 0;
  }

  get keeper(): SavepointKeeper {
    return this.#keeper;
  }

  look(): void {
    this.#keeper.look();
  }

  /** Everything that was decided before now is known here when this settles: whoever gave a task up did so after it. */
  async catchUp(): Promise<void> {
    await this.#control.catchUp();
  }

  /** Takes a savepoint; the same id again gives the same one. Rejects with SAVEPOINT_NO_STORAGE, SAVEPOINT_ID_INVALID or SAVEPOINT_FAILED. */
  take(id: string, mode: AppSavepointMode): Promise<SavepointResult> {
    const known = this.#asked.get(id);
    if (known !== undefined) return known;
    if (!/^[A-Za-z0-9][\w.-]{0,99}$/.test(id))
      return Promise.reject(
        new MillraceError("SAVEPOINT_ID_INVALID", `savepoint "${id}"`, "is no good name for a folder", "use letters, digits and . _ - ="),
      );
    const taken = this.#keeper.take(id, mode).finally(() => this.#asked.delete(id));
    this.#asked.set(id, taken);
    return taken;
  }

  /** What came of the savepoint with this id; undefined for none, and without storage. */
  async find(id: string): Promise<SavepointResult | undefined> {
    const { savepointStorage } = this.#parts.config;
    return savepointStorage === undefined ? undefined : savepointResult(await this.#openStorage(), `${this.#parts.applicationId}/`, id);
  }

  #openStorage(): Promise<SnapshotStorage> {
    const { savepointStorage, storageOptions } = this.#parts.config;
    if (savepointStorage === undefined)
      return Promise.reject(
        new MillraceError(
          "SAVEPOINT_NO_STORAGE",
          "savepoint",
          "the application has no storage for savepoints",
          "set savepointStorage to a file:// or s3:// URL that all processes reach",
        ),
      );
    // What failed is tried again the next time.
    this.#storage ??= openStorage(savepointStorage, storageOptions).catch((error: unknown) => {
      this.#storage = undefined;
      throw error;
    });
    return this.#storage;
  }

  async close(): Promise<void> {
    this.#keeper.close();
    await this.#control.close();
    await (await this.#storage?.catch(() => undefined))?.close();
    await (await this.#opened?.catch(() => undefined))?.close();
  }
}
