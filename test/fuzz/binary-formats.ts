// Decodes Avro and Protobuf records, whole and damaged: node test/fuzz/binary-formats.ts --cases 1000000 --seed 1
import { parseArgs } from "node:util";
import { checkBinaryFormats } from "../../runtime/src/serde/binary-check.suite.ts";

const { values } = parseArgs({
  options: { cases: { type: "string", default: "1000000" }, seed: { type: "string", default: String(Date.now() % 1_000_000) } },
});
const startedMs = Date.now();
const { cases, whole, refused, both, onlyOurs, grownBytes } = await checkBinaryFormats(Number(values.cases), Number(values.seed));
process.stdout.write(
  `node ${process.version}, seed ${values.seed}: ${cases} Avro and Protobuf records: ${whole} whole ones read as written, ${refused} damaged ones refused, ` +
    `${both} read as the library reads them, ${onlyOurs} that only we read; memory grew by at most ${Math.round(grownBytes / 2 ** 20)} MiB, in ${((Date.now() - startedMs) / 1000).toFixed(1)} s\n`,
);
