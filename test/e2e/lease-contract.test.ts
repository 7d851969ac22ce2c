// The Lease by which a run's JobManagers choose their leader, on a real API server with a service account's own token: what every lease must do.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll } from "vitest";
import { MillraceError } from "../../runtime/src/base/errors.ts";
import { leaseSuite } from "../../runtime/src/drivers/cluster/leadership/election.suite.ts";
import { kubernetesLease } from "../../runtime/src/drivers/cluster/leadership/kubernetes-lease.ts";
import type { LeaseStore } from "../../runtime/src/drivers/cluster/leadership/lease.ts";
import { kubectl } from "../support/cluster.ts";

const namespace = `lease-${randomBytes(4).toString("hex")}`;
const accountFolder = mkdtempSync(join(tmpdir(), "millrace-account-"));
let server = "";

const config = (path: string): Promise<string> => kubectl(["config", "view", "--raw", "-o", `jsonpath={.clusters[0].cluster.${path}}`]);

beforeAll(async () => {
  server = await config("server");
  writeFileSync(join(accountFolder, "ca.crt"), Buffer.from(await config("certificate-authority-data"), "base64"));
  await kubectl(["create", "namespace", namespace]);
  const here = ["-n", namespace];
  await kubectl(["create", "serviceaccount", "job", ...here]);
  await kubectl(["create", "role", "job", "--verb=get,create,update,patch", "--resource=leases.coordination.k8s.io", ...here]);
  await kubectl(["create", "rolebinding", "job", "--role=job", `--serviceaccount=${namespace}:job`, ...here]);
  writeFileSync(join(accountFolder, "token"), await kubectl(["create", "token", "job", ...here]));
});

afterAll(async () => {
  rmSync(accountFolder, { recursive: true });
  await kubectl(["delete", "namespace", namespace, "--wait=false"]);
});

leaseSuite("a Lease on a real API server", () => {
  const lease = `run-${randomBytes(4).toString("hex")}`;
  let reachable = true;
  const gone = (): MillraceError => new MillraceError("LEASE_UNREACHABLE", lease, "is away", "wait");
  return Promise.resolve({
    async open(): Promise<LeaseStore> {
      const store = await kubernetesLease({ namespace, lease, server, accountFolder });
      return {
        read: () => (reachable ? store.read() : Promise.reject(gone())),
        write: (record, version) => (reachable ? store.write(record, version) : Promise.reject(gone())),
        close: () => store.close(),
      };
    },
    setReachable(now: boolean): void {
      reachable = now;
    },
    close: () => Promise.resolve(),
  });
});
