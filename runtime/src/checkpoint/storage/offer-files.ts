// The steps of a conditional replace on a real file system.
import { opendir, rename, rmdir, unlink } from "node:fs/promises";
import { systemCode } from "./file-errors.ts";
import type { OfferFiles } from "./conditional-replace.ts";

export function offerFiles(prepare: OfferFiles["prepare"]): OfferFiles {
  return {
    prepare,
    async moveFolder(from, to) {
      try {
        await rename(from, to);
        return "moved";
      } catch (error) {
        const code = systemCode(error);
        if (code === "ENOTEMPTY" || code === "EEXIST") return "occupied";
        if (code === "ENOENT") return "missing";
        throw error;
      }
    },
    async standing(folder) {
      try {
        for await (const entry of await opendir(folder)) return entry.name;
        return undefined;
      } catch (error) {
        if (systemCode(error) === "ENOENT") return undefined;
        throw error;
      }
    },
    moveFile: (from, to) => wasThere(() => rename(from, to)),
    async removeFile(path) {
      await wasThere(() => unlink(path));
    },
    async removeFolder(path) {
      // Somebody's offer may stand in it by now, or somebody has removed it.
      await rmdir(path).catch(() => undefined);
    },
  };
}

async function wasThere(act: () => Promise<void>): Promise<boolean> {
  try {
    await act();
    return true;
  } catch (error) {
    if (systemCode(error) === "ENOENT") return false;
    throw error;
  }
}
