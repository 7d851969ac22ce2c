// The Cluster in memory does what every Cluster must do.
import type { Clock } from "../ports/machine.ts";
import { clusterSuite } from "../ports/cluster.suite.ts";
import { MemoryCluster } from "./memory-cluster.ts";
import { WorkloadControllers } from "./workload-controllers.ts";

const clock: Clock = {
  now: () => Date.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};

clusterSuite("in memory", () => {
  const cluster = new MemoryCluster(clock, { requestMs: () => 0, watchDelayMs: () => 1 });
  const controllers = new WorkloadControllers(cluster.store, clock, () => 1);
  return Promise.resolve({
    cluster,
    namespace: "suite",
    close: () => {
      controllers.close();
      cluster.close();
      return Promise.resolve();
    },
  });
});
