// Compares the JSON decoder with JSON.parse over many random documents: node test/fuzz/json.ts --cases 1000000 --seed 1
import { parseArgs } from "node:util";
import { checkDecoder } from "../../runtime/src/serde/json/decoder-check.suite.ts";

const { values } = parseArgs({
  options: { cases: { type: "string", default: "1000000" }, seed: { type: "string", default: String(Date.now() % 1_000_000) } },
});
const cases = Number(values.cases);
const seed = Number(values.seed);
const startedMs = Date.now();
let shown = 0;
const counts = checkDecoder(cases, seed, true, (soFar) => {
  if (soFar.cases - shown < cases / 10) return;
  shown = soFar.cases;
  process.stdout.write(`${soFar.cases} documents in ${((Date.now() - startedMs) / 1000).toFixed(1)} s\n`);
});
const seconds = ((Date.now() - startedMs) / 1000).toFixed(1);
process.stdout.write(
  `node ${process.version}, seed ${seed}: ${counts.cases} documents agree with JSON.parse in acceptance, code and values ` +
    `(${counts.good} good, ${counts.misfits} misfits, ${counts.unparsable} unparsable) in ${seconds} s\n`,
);
