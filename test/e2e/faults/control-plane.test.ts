// Faults of what steers a job: the operator's leader, the API server, etcd. The job's output is exact whatever happens to them.
import { afterAll, beforeAll, expect, test } from "vitest";
import { kubectl } from "../../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { FaultJob, outageSeconds } from "../support/fault-job.ts";
import { operatorNamespace, release, visitImages } from "../support/operator.ts";
import { hack } from "../support/scripts.ts";

let subject: FaultJob;

beforeAll(async () => {
  subject = await FaultJob.start("control-plane");
});

afterAll(() => subject?.end());

async function killLeader(): Promise<void> {
  const lease = await kubectl(["get", "lease", `${release}-operator`, "-n", operatorNamespace, "-o", "jsonpath={.spec.holderIdentity}"]);
  await kubectl(["delete", "pod", lease, "-n", operatorNamespace, "--grace-period=0", "--force"]);
}

test("the leading operator is killed during an upgrade: another one finishes it", async () => {
  const { job } = subject;
  const before = await job.stable();
  await subject.suffers(
    "leader of the operator killed during an upgrade",
    async () => {
      await job.apply({ image: visitImages.v2 });
      await job.until("is being upgraded", (status) => status.upgrade !== undefined);
      await killLeader();
    },
    async () => {
      await job.until("runs the other revision", ({ currentRevision }) => currentRevision !== before.currentRevision);
      const status = await job.stable();
      expect(status.lastUpgrade).toMatchObject({ kind: "upgrade", result: "Succeeded" });
    },
  );
});

test.each(["apiserver", "etcd"])("%s is away", async (component) => {
  const seconds = outageSeconds(8);
  await subject.suffers(
    `${component} away for ${seconds} s`,
    async () => {
      await hack("cluster", "kill", "--component", component, "--seconds", String(seconds));
      await eventually("the API server answers", async () => ((await kubectl(["get", "--raw", "/readyz"])) === "ok" ? true : undefined));
    },
    async () => {
      await subject.ready();
      await kubectl(["rollout", "status", `deployment/${release}-operator`, "-n", operatorNamespace, "--timeout=3m"]);
    },
  );
});

test("afterwards the operator still brings out a change", async () => {
  const { job } = subject;
  const before = await job.stable();
  await job.apply({ image: visitImages.v2 }, { restartNonce: "once more" });
  await job.until("has restarted", ({ lastUpgrade }) => lastUpgrade?.id !== before.lastUpgrade?.id);
  expect((await job.stable()).lastUpgrade).toMatchObject({ kind: "restart", result: "Succeeded" });
});
