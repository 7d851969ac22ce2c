// `millrace savepoint dispose`: deletes a snapshot that nobody needs.
import type { StorageOptions } from "../../checkpoint/storage/open-storage.ts";
import { disposeSnapshot } from "../../checkpoint/savepoint/dispose.ts";
import { withSnapshot } from "./open-for-reading.ts";
import type { Print } from "./savepoint-command.ts";
import { formatBytes } from "./text-output.ts";

export async function disposeOf(
  url: string,
  options: StorageOptions,
  flags: { readonly json: boolean; readonly force: boolean },
  print: Print,
): Promise<void> {
  await withSnapshot(url, options, async (snapshot) => {
    const deleted = await disposeSnapshot(snapshot, { force: flags.force });
    const { totalBytes } = snapshot;
    await print(
      flags.json ? `${JSON.stringify({ url: snapshot.url, deleted })}\n` : `deleted ${snapshot.url} (${formatBytes(totalBytes)})\n`,
    );
  });
}
