// Storage that dies at its n-th write, before or after it, as a process does that is killed there.
import { MillraceError } from "../../../base/errors.ts";
import { openStorage } from "../../../checkpoint/storage/open-storage.ts";
import type { SnapshotStorage } from "../../../core/ports/snapshot-storage.ts";

export interface Faults {
  readonly open: (url: string) => Promise<SnapshotStorage>;
  /** Writes so far. */
  readonly calls: number;
}

const writing = ["put", "create", "replace", "openWriter", "delete"] as const;

/** From write `crashAt` on (counted from 1) nothing works any more. `openGood` opens what is beneath. */
export function faultyStorage(
  crashAt: number,
  when: "before" | "after",
  openGood: (url: string) => Promise<SnapshotStorage> = openStorage,
): Faults {
  let calls = 0;
  let dead = false;
  const died = (): MillraceError => new MillraceError("STORAGE_DENIED", "storage", "the process was killed here", "start it again");
  const deadList = (): AsyncIterable<never> => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(died()) }) });
  const open = async (url: string): Promise<SnapshotStorage> => {
    const storage = await openGood(url);
    return new Proxy(storage, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        const method = (value as (...args: unknown[]) => unknown).bind(target);
        if (name === "close") return method;
        return (...args: unknown[]) => {
          if (dead) {
            if (name === "openWriter") throw died();
            return name === "list" ? deadList() : Promise.reject(died());
          }
          if (!(writing as readonly string[]).includes(String(name))) return method(...args);
          calls++;
          if (calls !== crashAt) return method(...args);
          dead = true;
          if (name === "openWriter") throw died();
          return when === "before" ? Promise.reject(died()) : Promise.resolve(method(...args)).then(() => Promise.reject(died()));
        };
      },
    });
  };
  return {
    open,
    get calls() {
      return calls;
    },
  };
}
