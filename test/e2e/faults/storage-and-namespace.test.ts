// Faults of what a job rests on: the storage of its checkpoints is away for a while, and its namespace goes in the middle of an upgrade.
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectl } from "../../support/cluster.ts";
import { FaultJob, outageSeconds } from "../support/fault-job.ts";
import { operatorNamespace, release, visitImages } from "../support/operator.ts";
import { hack } from "../support/scripts.ts";

let subject: FaultJob;

beforeAll(async () => {
  subject = await FaultJob.start("storage");
});

afterAll(() => subject?.end());

/** Nobody answers at the S3 server's address for a while; its data stays. */
async function withoutS3(seconds: number): Promise<void> {
  await hack("s3", "down", "--name", "pods", "--keep");
  try {
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  } finally {
    await hack("s3", "up", "--name", "pods");
  }
}

test("S3 is away", async () => {
  const seconds = outageSeconds(10);
  await subject.suffers(
    `S3 away for ${seconds} s`,
    () => withoutS3(seconds),
    () => subject.ready(),
  );
});

test("the namespace is deleted during an upgrade: everything goes, and the operator has nothing left to do", async () => {
  const { job, namespace } = subject;
  await job.stable();
  await job.apply({ image: visitImages.v2 });
  await job.until("is being upgraded", (status) => status.upgrade !== undefined);
  const start = Date.now();
  await kubectl(["delete", "namespace", namespace, "--timeout=180s"]);
  process.stdout.write(`namespace deleted during an upgrade: gone after ${((Date.now() - start) / 1000).toFixed(1)} s\n`);
  expect(await kubectl(["get", "streamjobs", "-A", "-o", "jsonpath={.items[*].metadata.namespace}"])).not.toContain(namespace);
  await kubectl(["rollout", "status", `deployment/${release}-operator`, "-n", operatorNamespace, "--timeout=1m"]);
});
