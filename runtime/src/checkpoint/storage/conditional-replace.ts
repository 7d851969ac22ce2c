// Compare-and-replace of a file by several processes, without a lock that one of them could keep by standing still.
//
//   .tmp/<token>/<token>  ──rename──>  .pointer.offer/<token>  ──rename──>  pointer
//        prepared                        stands alone                       in its place
//                                             └──unlink by somebody who has waited long enough: withdrawn
//
// A folder can be renamed onto another one only when that is empty, so one offer stands at a time, and while it stands nothing else gets into
// the target's place. Its owner compares, then renames the file into place. Whoever has seen one offer stand for `patienceMs` takes the file
// away and offers its own. Both are single steps on one name that is never used twice, so exactly one of them succeeds: a process that was
// stopped, however long, finds its offer gone and begins anew; it can neither keep others out nor overwrite what they have written.

export interface OfferFiles {
  /** Makes a folder with the one file `token` in it, durably; the folder's path. */
  prepare(token: string): Promise<string>;
  /** Renames a folder onto one that is empty or not there. `missing`: there is no place to put it. */
  moveFolder(from: string, to: string): Promise<"moved" | "occupied" | "missing">;
  /** The file in an offer's folder; undefined when it is empty or gone. */
  standing(folder: string): Promise<string | undefined>;
  /** True when the file was there and is in its new place, false when it was gone. */
  moveFile(from: string, to: string): Promise<boolean>;
  removeFile(path: string): Promise<void>;
  /** Removes a folder if it is empty. */
  removeFolder(path: string): Promise<void>;
}

export interface ReplaceRequest {
  readonly target: string;
  /** The folder beside it. */
  readonly offer: string;
  /** True when the target is as it was when its change was decided on. */
  readonly isUnchanged: () => Promise<boolean>;
  readonly newToken: () => string;
  readonly now: () => number;
  readonly pause: () => Promise<void>;
  readonly deadlineMs: number;
}

/** How long an offer of another process may stand before it is taken away, ms. Too short costs its owner another attempt, nothing else. */
export const patienceMs = 200;

/** `late`: others were in the way until the deadline. */
export async function replaceFile(files: OfferFiles, request: ReplaceRequest): Promise<"replaced" | "conflict" | "late"> {
  const { target, offer, newToken, now } = request;
  const untilMs = now() + request.deadlineMs;
  for (;;) {
    const token = newToken();
    const prepared = await files.prepare(token);
    const offered = await place(files, request, prepared, untilMs);
    if (offered !== "moved") {
      await files.removeFile(`${prepared}/${token}`);
      await files.removeFolder(prepared);
      return offered === "late" ? "late" : "conflict";
    }
    const mine = `${offer}/${token}`;
    let unchanged = false;
    try {
      unchanged = await request.isUnchanged();
    } finally {
      if (!unchanged) await withdraw(files, offer, mine);
    }
    if (!unchanged) return "conflict";
    const replaced = await files.moveFile(mine, target);
    await files.removeFolder(offer);
    if (replaced) return "replaced";
    if (now() > untilMs) return "late";
  }
}

async function withdraw(files: OfferFiles, offer: string, mine: string): Promise<void> {
  await files.removeFile(mine);
  await files.removeFolder(offer);
}

// Makes the prepared offer the one that stands.
async function place(
  files: OfferFiles,
  { offer, now, pause }: ReplaceRequest,
  prepared: string,
  untilMs: number,
): Promise<"moved" | "missing" | "late"> {
  let seen: string | undefined;
  let seenSinceMs = 0;
  for (;;) {
    const moved = await files.moveFolder(prepared, offer);
    if (moved !== "occupied") return moved;
    const standing = await files.standing(offer);
    if (standing === undefined) continue;
    const nowMs = now();
    if (standing !== seen) {
      seen = standing;
      seenSinceMs = nowMs;
    } else if (nowMs - seenSinceMs >= patienceMs) await files.removeFile(`${offer}/${standing}`);
    if (nowMs > untilMs) return "late";
    await pause();
  }
}
