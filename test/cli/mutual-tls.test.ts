// A job whose processes speak mutual TLS: control plane and exchange, strangers that are refused, and certificates that are renewed under way.
import { connect as connectPlain } from "node:net";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { connect } from "node:tls";
import { beforeAll, expect, test } from "vitest";
import { Authority, type Issued, mount } from "../support/authority.ts";
import { build, Command, jobs, workFolder } from "./command.ts";
import { addInput, expectedCounts, readings, seenCounts, writeInput } from "./readings.ts";

const folder = workFolder();
const first = readings(1500);
/** Comes when the certificates are renewed, and goes on in time where the first ends: what is late would be dropped. */
const second = readings(1500, 7).map((reading) => ({ ...reading, at: reading.at + first.length * 50 }));
/** Closes every window before it. */
const closing = { key: "end", value: 0, at: Date.UTC(2030, 0, 1) };
const timeoutMs = 240_000;

beforeAll(build, timeoutMs);

test("control plane and exchange by TLS; strangers are refused; renewed certificates count for new connections", {
  timeout: timeoutMs,
}, async () => {
  const authority = new Authority(join(folder, "authority"), "job authority");
  const renewed = new Authority(join(folder, "renewed"), "renewed authority");
  const foreign = new Authority(join(folder, "foreign"), "foreign authority");
  const member = authority.issue("job");
  const mounted = mount(join(folder, "tls"), authority.certificate, member);
  const [input, output] = [join(folder, "input"), join(folder, "output")];
  const start = processes(writeInput(input, first), output);
  const jobManager = start("jobmanager", mounted);
  const taskManagers = [start("taskmanager", mounted), start("taskmanager", mounted)] as const;
  const started = await jobManager.logged("job manager started");
  const [rpcHost = "", rpcPort = ""] = String(started["rpc"]).split(":");
  const at = { host: rpcHost, port: Number(rpcPort) };
  await jobManager.logged("region running");

  // Of another authority altogether: it does not believe the leader. With the job's authority but a foreign certificate: the leader does not believe it.
  const stranger = start("taskmanager", mount(join(folder, "stranger"), foreign.certificate, foreign.issue("stranger")));
  const impostor = start("taskmanager", mount(join(folder, "impostor"), authority.certificate, foreign.issue("impostor")));
  expect(String((await stranger.logged("waiting for a leader"))["problem"])).toContain("is not signed by this process's ca.crt");
  await impostor.logged("waiting for a leader");
  await until("the leader to say whom it refused and why", async () =>
    jobManager
      .log()
      .some(({ message, reason }) => message === "a control connection was refused" && String(reason).includes("is not signed")),
  );
  const { taskManagers: known } = (await (await fetch(`${String(started["rest"])}/v1/job`)).json()) as { taskManagers: object[] };
  expect(known).toHaveLength(2);
  expect(await speaksPlainly(at)).toBe(false);
  for (const one of [stranger, impostor]) one.kill("SIGKILL");

  // Both authorities are believed for a while, and the certificate is the new one's.
  const both = `${authority.certificate}${renewed.certificate}`;
  const successor = renewed.issue("job");
  const before = await shownBy(at, both, member);
  mount(mounted, both, successor);
  await until("the leader to show the new certificate", async () => (await shownBy(at, both, successor)) !== before);
  // A connection that was there goes on; a process that comes has the new certificate only, and its peers take it.
  taskManagers[0].kill("SIGKILL");
  await taskManagers[0].ended;
  const late = start("taskmanager", mounted);
  await late.logged("registered");
  await until("the region to run again", async () => jobManager.log().filter(({ message }) => message === "region running").length > 1);
  addInput(input, 1, [...second, closing]);
  const complete = expectedCounts([...first, ...second]);
  await until("every window but the last", async () => seenCounts(output).length >= complete.length);
  // The input has no end, so that nothing above is in a hurry.
  const drain = { method: "POST", body: JSON.stringify({ id: "end", mode: "drain" }) };
  expect(await (await fetch(`${String(started["rest"])}/v1/savepoints?wait=60s`, drain)).json()).toMatchObject({ phase: "completed" });
  await jobManager.endsWith(0);
  expect(seenCounts(output)).toEqual(expectedCounts([...first, ...second, closing]));
});

function processes(input: string, output: string): (role: "jobmanager" | "taskmanager", tls: string) => Command {
  const shared = [
    ...["--module", join(jobs, "counts.ts"), "--param", `input=${input}`, "--param", `output=${output}`, "--param", "bounded=false"],
    ...["--parallelism", "2", "--checkpoint-interval", "300 ms", "--storage", pathToFileURL(join(folder, "snapshots")).href],
    ...["--host", "127.0.0.1", "--port", "0", "--run", "1", "--log", "json"],
  ];
  return (role, tls) => {
    const own = role === "jobmanager" ? ["--rpc-port", "0", "--exit-at-end"] : ["--slots", "1", "--work-dir", folder];
    return new Command([role, ...own, ...shared, "--tls-dir", tls]);
  };
}

async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const endMs = Date.now() + 120_000;
  while (!(await isSo())) {
    if (Date.now() > endMs) throw new Error(`waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The serial number of the certificate that is shown at a port. */
function shownBy(at: { host: string; port: number }, ca: string, { cert, key }: Issued): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ ...at, ca, cert, key, checkServerIdentity: () => undefined }, () => {
      resolve(socket.getPeerCertificate().serialNumber);
      socket.destroy();
    });
    socket.once("error", reject);
  });
}

/** True when an answer comes without TLS. */
function speaksPlainly(at: { host: string; port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectPlain(at, () => socket.write("GET / HTTP/1.1\r\nhost: a\r\n\r\n"));
    socket.on("data", (data) => resolve(data.toString("latin1").startsWith("HTTP/")));
    socket.on("error", () => resolve(false));
    socket.on("close", () => resolve(false));
  });
}
