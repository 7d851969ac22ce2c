// Savepoints as clients ask for them: by an id, again and again, until they hear what came of it.
import type { SavepointResult } from "../../../checkpoint/savepoint/savepoint-result.ts";
import { isMillraceError, messageOf } from "../../../base/errors.ts";
import type { AppSavepointMode } from "../control/control-state.ts";

/** The same as a job answers. */
export interface SavepointAnswer {
  readonly id: string;
  readonly mode: AppSavepointMode | null;
  readonly phase: "running" | "completed" | "failed";
  readonly location: string | null;
  readonly sizeBytes: number | null;
  readonly checkpointId: number | null;
  readonly formatVersion: number | null;
  readonly cutAtMs: number | null;
  readonly completedAtMs: number | null;
  readonly failure: { readonly code: string; readonly message: string } | null;
}

interface Asked {
  readonly mode: AppSavepointMode;
  readonly done: Promise<void>;
  result: SavepointResult | undefined;
  failure: unknown;
}

/** Ids that are remembered; what came of older ones is in the storage. */
const mostAsked = 100;

export class SavepointRequests {
  readonly #take: (id: string, mode: AppSavepointMode) => Promise<SavepointResult>;
  readonly #find: (id: string) => Promise<SavepointResult | undefined>;
  readonly #asked = new Map<string, Asked>();

  constructor(
    take: (id: string, mode: AppSavepointMode) => Promise<SavepointResult>,
    find: (id: string) => Promise<SavepointResult | undefined>,
  ) {
    this.#take = take;
    this.#find = find;
  }

  /** Asks for it, unless it is under way or complete; one that failed is tried again. */
  async ask(id: string, mode: AppSavepointMode): Promise<SavepointAnswer> {
    const known = this.#asked.get(id);
    if (known === undefined || known.failure !== undefined) {
      const found = await this.#find(id);
      if (found !== undefined) return completed(found, null);
      this.#begin(id, mode);
    }
    return (await this.byId(id)) as SavepointAnswer;
  }

  #begin(id: string, mode: AppSavepointMode): void {
    const asked: Asked = {
      mode,
      result: undefined,
      failure: undefined,
      done: this.#take(id, mode).then(
        (result) => {
          asked.result = result;
        },
        (error: unknown) => {
          asked.failure = error;
        },
      ),
    };
    this.#asked.delete(id);
    this.#asked.set(id, asked);
    const [oldest] = this.#asked.keys();
    if (this.#asked.size > mostAsked && oldest !== undefined) this.#asked.delete(oldest);
  }

  /** Undefined for an id that nobody asked for here and that has no result. */
  async byId(id: string): Promise<SavepointAnswer | undefined> {
    const asked = this.#asked.get(id);
    if (asked === undefined) {
      const found = await this.#find(id);
      return found && completed(found, null);
    }
    const { mode, result, failure } = asked;
    if (result !== undefined) return completed(result, mode);
    const base = { id, mode, location: null, sizeBytes: null, checkpointId: null, formatVersion: null, cutAtMs: null, completedAtMs: null };
    if (failure === undefined) return { ...base, phase: "running", failure: null };
    const code = isMillraceError(failure) ? failure.code : "INTERNAL";
    return { ...base, phase: "failed", failure: { code, message: messageOf(failure) } };
  }

  /** Settles when it is not under way any more, at the latest after `waitMs`. */
  async settled(id: string, waitMs: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, waitMs);
    });
    await Promise.race([this.#asked.get(id)?.done, late]);
    clearTimeout(timer);
  }
}

function completed({ url, totalBytes, ...result }: SavepointResult, mode: AppSavepointMode | null): SavepointAnswer {
  return { ...result, mode, phase: "completed", location: url, sizeBytes: totalBytes, failure: null };
}
