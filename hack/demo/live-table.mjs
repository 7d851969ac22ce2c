// A table that is drawn again and again while a job runs: the busiest airports of the newest window in the committed output.
import { readdir, readFile } from "node:fs/promises";

const shownRows = 5;

export function liveTable(folder) {
  const read = new Set();
  let newest = 0;
  let rows = [];
  let drawn = 0;
  let before = { records: 0, ms: Date.now() };

  const readNew = async () => {
    const names = await readdir(folder).catch(() => []);
    for (const name of names.filter((entry) => entry.endsWith(".ndjson") && !read.has(entry))) {
      read.add(name);
      for (const line of (await readFile(`${folder}/${name}`, "utf8")).split("\n")) {
        if (line === "") continue;
        const row = JSON.parse(line);
        if (row.windowEnd > newest) [newest, rows] = [row.windowEnd, []];
        if (row.windowEnd === newest) rows.push(row);
      }
    }
  };

  const draw = (status, final) => {
    const nowMs = Date.now();
    const perSecond = Math.round(((status.records - before.records) * 1000) / Math.max(1, nowMs - before.ms));
    before = { records: status.records, ms: nowMs };
    const until = newest === 0 ? "no window closed yet" : `hour until ${new Date(newest).toISOString().slice(0, 16).replace("T", " ")}`;
    const top = rows.toSorted((a, b) => b.flights - a.flights).slice(0, shownRows);
    const checkpoint =
      status.checkpoint === null || status.checkpoint === undefined
        ? ""
        : `  checkpoint ${status.checkpoint.id} (${kib(status.checkpoint.writtenBytes)}, ${Math.round(status.checkpoint.durationMs ?? 0)} ms)`;
    const lines = [
      `${status.records.toLocaleString("en-US").padStart(9)} flights  ${perSecond.toLocaleString("en-US")}/s  ${status.late} late  state ${kib(status.stateBytes)}${checkpoint}`,
      `  ${until.padEnd(34)} flights   mean delay   worst${top.some((row) => "distance" in row) ? "   distance" : ""}`,
      ...top.map((row) => {
        const distance = "distance" in row ? String(row.distance).padStart(11) : "";
        return `  ${row.origin.padEnd(34)} ${String(row.flights).padStart(7)} ${`${row.meanDelay.toFixed(1)} min`.padStart(12)} ${`${row.worstDelay} min`.padStart(7)}${distance}`;
      }),
    ];
    if (!process.stdout.isTTY && !final) return;
    if (process.stdout.isTTY && drawn > 0) process.stdout.write(`\u001b[${drawn}A\u001b[0J`);
    process.stdout.write(`${lines.join("\n")}\n`);
    drawn = final ? 0 : lines.length;
  };

  return {
    /** Draws until the job has ended or `enough` says so. */
    async follow(job, enough) {
      let ended = false;
      job.exited.then(() => {
        ended = true;
      });
      let last;
      while (!ended) {
        const status = await job.status();
        if (status !== undefined) {
          last = status;
          if (enough(status)) break;
          await readNew();
          draw(status, false);
        }
        await new Promise((resolve) => setTimeout(resolve, 250));
      }
      await readNew();
      if (last !== undefined) draw(last, true);
    },
  };
}

function kib(bytes) {
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(0)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
