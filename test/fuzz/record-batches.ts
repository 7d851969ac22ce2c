// Damages record batches in every way and reads them: node test/fuzz/record-batches.ts --cases 1000000 --seed 1
import { parseArgs } from "node:util";
import { checkDamagedBatches } from "../../runtime/src/connectors/kafka/wire/damage-check.suite.ts";

const { values } = parseArgs({
  options: { cases: { type: "string", default: "1000000" }, seed: { type: "string", default: String(Date.now() % 1_000_000) } },
});
const startedMs = Date.now();
const { cases, whole, refused, nothing, other, grownBytes } = await checkDamagedBatches(Number(values.cases), Number(values.seed));
process.stdout.write(
  `node ${process.version}, seed ${values.seed}: ${cases} batches: ${whole} gave what was written, ${refused} refused, ${nothing} without a whole batch, ` +
    `${other} of nonsense under a right checksum stayed within their bytes; memory grew by at most ${Math.round(grownBytes / 2 ** 20)} MiB, in ${((Date.now() - startedMs) / 1000).toFixed(1)} s\n`,
);
