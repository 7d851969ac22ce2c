// Faults of a job's own pods and of their node: killed without notice, and drained.
import { afterAll, beforeAll, test } from "vitest";
import { kubectl } from "../../support/cluster.ts";
import { FaultJob } from "../support/fault-job.ts";

let subject: FaultJob;

beforeAll(async () => {
  subject = await FaultJob.start("pods");
});

afterAll(() => subject?.end());

test.each(["jobmanager", "taskmanager"])("the pods of the %s are deleted without notice", async (component) => {
  const labels = `millrace.dev/job=visits,app.kubernetes.io/component=${component}`;
  await subject.suffers(
    `pods of the ${component} killed`,
    async () => {
      await kubectl(["delete", "pods", "-n", subject.namespace, "-l", labels, "--grace-period=0", "--force"]);
    },
    () => subject.ready(),
  );
});

test("the node is drained and comes back", async () => {
  const node = (await kubectl(["get", "nodes", "-o", "jsonpath={.items[0].metadata.name}"])).trim();
  await subject.suffers(
    "node drained",
    async () => {
      try {
        // Only this job's pods: there is no other node for the rest.
        const drained = ["drain", node, "--pod-selector", "millrace.dev/job=visits", "--delete-emptydir-data", "--force", "--timeout=120s"];
        await kubectl(drained);
      } finally {
        await kubectl(["uncordon", node]);
      }
    },
    () => subject.ready(),
  );
});
