// `node hack/real/install.mjs`: brings what the real servers need into the cache, built or downloaded.
//
// `npm test` does so before its lanes run beside each other: building Kubernetes takes the whole machine for minutes, and tests with a
// deadline would starve. Where Docker is, the servers' images are pulled when they are started.
import { installHelm, installKind, installKubectl, installKubernetes } from "./cluster/build-programs.mjs";
import { findNodePrograms } from "./cluster/node-programs.mjs";
import { hasDocker } from "./docker.mjs";
import { installKafka } from "./kafka-install.mjs";
import { runMain } from "./problem.mjs";
import { installVersitygw } from "./s3-install.mjs";

const say = (line) => process.stdout.write(`${line}\n`);
const parts = hasDocker() ? [installKind, installKubectl] : [installKafka, installVersitygw, installKubernetes, findNodePrograms];

await runMain(async () => {
  for (const install of [...parts, installHelm]) await install(say);
});
