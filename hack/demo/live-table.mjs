// A table that is drawn again and again while a job runs: how it does, and the busiest airports of the newest window in the committed output.
import { readdir, readFile } from "node:fs/promises";

const shownRows = 5;
const everyMs = 200;
const barWidth = 24;
const bold = (text) => (process.stdout.isTTY ? `\u001b[1m${text}\u001b[0m` : text);
const dim = (text) => (process.stdout.isTTY ? `\u001b[2m${text}\u001b[0m` : text);
const number = (value) => Math.round(value).toLocaleString("en-US");

/** `total`: how many records there are. */
export function liveTable(folder, total) {
  const read = new Set();
  const columns = { distance: false };
  let newest = 0;
  let rows = [];
  let drawn = 0;
  let done = { run: undefined, before: 0, now: 0 };
  let rates = [];

  const readNew = async () => {
    const names = await readdir(folder).catch(() => []);
    for (const name of names.filter((entry) => entry.endsWith(".ndjson") && !read.has(entry))) {
      read.add(name);
      for (const line of (await readFile(`${folder}/${name}`, "utf8")).split("\n")) {
        if (line === "") continue;
        const row = JSON.parse(line);
        columns.distance ||= "distance" in row;
        if (row.windowEnd > newest) [newest, rows] = [row.windowEnd, []];
        if (row.windowEnd === newest) rows.push(row);
      }
    }
  };

  // A new run counts from zero, so what earlier ones have read is added.
  const progressOf = ({ run, records }) => {
    if (run !== done.run) {
      done = { run, before: done.before + done.now, now: 0 };
      rates = [];
    }
    done.now = records;
    rates = [...rates.slice(-5), { records, ms: Date.now() }];
    const [first] = rates;
    const perSecond = rates.length < 2 ? 0 : ((records - first.records) * 1000) / Math.max(1, Date.now() - first.ms);
    return { all: Math.min(total, done.before + done.now), perSecond };
  };

  const linesOf = (status) => {
    const { all, perSecond } = progressOf(status);
    const filled = Math.round((all / total) * barWidth);
    const until = newest === 0 ? "no window closed yet" : `hour until ${new Date(newest).toISOString().slice(0, 16).replace("T", " ")}`;
    const checkpoint = status.checkpoint === null ? "no checkpoint yet" : `checkpoint ${status.checkpoint.id}`;
    const top = rows.toSorted((a, b) => b.flights - a.flights).slice(0, shownRows);
    const distance = (text) => (columns.distance ? text.padStart(11) : "");
    return [
      `  ${bold("█".repeat(filled))}${dim("░".repeat(barWidth - filled))} ${number(all).padStart(9)} flights  ${number(perSecond).padStart(8)}/s   instances ${status.parallelism}   late ${number(status.late)}   state ${kib(status.stateBytes)}   ${checkpoint}`,
      dim(`  ${until.padEnd(26)} flights   mean delay      worst${distance("distance")}`),
      ...top.map(
        (row) =>
          `  ${row.origin.padEnd(26)} ${String(row.flights).padStart(7)} ${`${row.meanDelay.toFixed(1)} min`.padStart(12)} ${`${row.worstDelay} min`.padStart(10)}${distance(String(row.distance ?? ""))}`,
      ),
    ];
  };

  const erase = () => {
    if (process.stdout.isTTY && drawn > 0) process.stdout.write(`\u001b[${drawn}A\u001b[0J`);
    drawn = 0;
  };

  const draw = (status, final) => {
    const lines = linesOf(status);
    if (!process.stdout.isTTY && !final) return;
    erase();
    process.stdout.write(`${lines.join("\n")}\n`);
    drawn = final ? 0 : lines.length;
  };

  let last;
  return {
    /** A line above the table. */
    note: (line) => {
      erase();
      process.stdout.write(`${dim(line)}\n`);
      if (last !== undefined && process.stdout.isTTY) draw(last, false);
    },
    /** Draws until `over` settles or `enough` says so. */
    async follow(job, over, enough = () => false) {
      let ended = false;
      const end = () => {
        ended = true;
      };
      over.then(end, end);
      while (!ended) {
        const status = await job.status();
        if (status !== undefined) {
          last = status;
          await readNew();
          draw(status, false);
          if (enough(status)) break;
        }
        await new Promise((resolve) => setTimeout(resolve, everyMs));
      }
      await readNew();
      if (last !== undefined) draw(last, true);
      last = undefined;
    },
  };
}

function kib(bytes) {
  return bytes < 1024 * 1024 ? `${(bytes / 1024).toFixed(0)} KiB` : `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
}
