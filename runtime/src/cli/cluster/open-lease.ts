// The lease of a job's leadership, of the kind that the configuration asks for.
import { openStorage } from "../../checkpoint/storage/open-storage.ts";
import { type ElectionTimes, leaseTimes } from "../../drivers/cluster/leadership/elector.ts";
import type { LeaseStore } from "../../drivers/cluster/leadership/lease.ts";
import { storageLease } from "../../drivers/cluster/leadership/storage-lease.ts";
import type { ClusterConfig } from "./cluster-config.ts";

/** In a folder a look costs little, and a dead holder on this machine is seen at once: so look often. */
const fileTimes: ElectionTimes = { ...leaseTimes, retryMs: 250, lookMs: 50 };

export async function openLease(
  config: ClusterConfig,
  jobId: string,
): Promise<{ readonly store: LeaseStore; readonly times: ElectionTimes }> {
  const { leadership, run } = config;
  if (leadership.kind === "kubernetes") {
    const { kubernetesLease } = await import("../../drivers/cluster/leadership/kubernetes-lease.ts");
    return { store: await kubernetesLease(leadership), times: leaseTimes };
  }
  const storage = await openStorage(leadership.url, { s3: run.s3, deadlineMs: 5000 });
  const times = leadership.url.startsWith("s3:") ? leaseTimes : fileTimes;
  return { store: await storageLease(storage, `${jobId}/leader.json`), times };
}
