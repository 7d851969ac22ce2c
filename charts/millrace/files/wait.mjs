// Makes the canary's StreamJob, waits until it is Ready and deletes it; ends with 1 when it does not become Ready in time.
import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

const account = "/var/run/secrets/kubernetes.io/serviceaccount";
const namespace = readFileSync(`${account}/namespace`, "utf8");
const name = process.env.CANARY;
const server = `https://${process.env.KUBERNETES_SERVICE_HOST}:${process.env.KUBERNETES_SERVICE_PORT}`;
const jobs = `${server}/apis/millrace.dev/v1alpha1/namespaces/${namespace}/streamjobs`;

async function call(method, url, body) {
  const headers = { authorization: `Bearer ${readFileSync(`${account}/token`, "utf8")}`, "content-type": "application/json" };
  const response = await fetch(url, { method, headers, body: body && JSON.stringify(body) });
  const answer = await response.json();
  if (!response.ok && !(method === "DELETE" && response.status === 404))
    throw new Error(`${method} ${url}: ${response.status} ${answer.message}`);
  return answer;
}

async function becomesReady() {
  const until = Date.now() + Number(process.env.TIMEOUT_SECONDS) * 1000;
  let last = "no condition yet";
  while (Date.now() < until) {
    const { status } = await call("GET", `${jobs}/${name}`);
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    if (ready?.status === "True") return;
    if (ready !== undefined) last = `${ready.reason}: ${ready.message}`;
    await sleep(1000);
  }
  throw new Error(`the canary did not become Ready in time; last: ${last}`);
}

await call("DELETE", `${jobs}/${name}`);
while (
  (await fetch(`${jobs}/${name}`, { headers: { authorization: `Bearer ${readFileSync(`${account}/token`, "utf8")}` } })).status !== 404
)
  await sleep(500);
await call("POST", jobs, {
  apiVersion: "millrace.dev/v1alpha1",
  kind: "StreamJob",
  metadata: { name },
  spec: {
    job: { module: "canary.mjs", configMap: name },
    // Nothing has to outlive the canary: each pod's own folder will do, and no checkpoint is taken while it lives.
    checkpoints: { storage: "file:///tmp/canary", interval: "1 h" },
    jobManager: { replicas: 1 },
  },
});
try {
  await becomesReady();
  console.log("the canary is Ready");
} finally {
  await call("DELETE", `${jobs}/${name}`);
}
