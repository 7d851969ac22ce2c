// What went wrong and when, the last few; and records that fail every attempt.

export interface ExceptionRecord {
  readonly atMs: number;
  readonly region: string;
  readonly attempt: number;
  readonly code: string;
  readonly message: string;
  readonly slot?: number;
  readonly taskManagerId?: string;
  readonly uid?: string;
  readonly subtask?: number;
  /** The record that was being processed, where it is known: the source's split and the position in it. */
  readonly record?: { readonly splitId: string; readonly position: number };
}

/** A record on which the job failed at several attempts in a row, or once in a way that no attempt survives. */
export interface PoisonRecord {
  readonly uid: string | null;
  readonly splitId: string;
  readonly position: number;
  readonly failures: number;
  readonly lastMessage: string;
  readonly lastAtMs: number;
}

const kept = 50;
const poisonAfter = 2;

export class Exceptions {
  readonly history: ExceptionRecord[] = [];
  readonly #byRecord = new Map<string, { readonly failures: number; readonly last: ExceptionRecord; readonly isPoison: boolean }>();

  /** True when the record is now known to be poison: it has failed often enough in a row, or `always` says that it will. */
  add(exception: ExceptionRecord, always: boolean): boolean {
    this.history.push(exception);
    if (this.history.length > kept) this.history.shift();
    const { record, region } = exception;
    if (record === undefined) return false;
    const key = `${record.splitId} ${record.position}`;
    const before = this.#byRecord.get(key);
    const failures = (before?.failures ?? 0) + 1;
    const isPoison = always || failures >= poisonAfter;
    // Another record of the region failed in between: then it is not one record's fault.
    for (const [other, { last }] of this.#byRecord) if (last.region === region && other !== key) this.#byRecord.delete(other);
    this.#byRecord.set(key, { failures, last: exception, isPoison });
    return isPoison && before?.isPoison !== true;
  }

  get poison(): readonly PoisonRecord[] {
    return [...this.#byRecord.values()].flatMap(({ failures, last, isPoison }) =>
      !isPoison || last.record === undefined
        ? []
        : [{ uid: last.uid ?? null, ...last.record, failures, lastMessage: last.message, lastAtMs: last.atMs }],
    );
  }
}
