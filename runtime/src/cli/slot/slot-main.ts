// A slot's thread: loads the job, opens its exchange server, and runs what it is told to until it is closed.
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { MessageChannel, type MessagePort, parentPort, workerData } from "node:worker_threads";
import { systemClock } from "../../base/clock.ts";
import { messageOf } from "../../base/errors.ts";
import { withLocalCopies } from "../../checkpoint/prefetch/local-copies.ts";
import { rehearseRestore } from "../../checkpoint/prefetch/rehearse.ts";
import { openStorage } from "../../checkpoint/storage/open-storage.ts";
import { snapshotOpener } from "../../drivers/cluster/slot/open-restore.ts";
import { Slot } from "../../drivers/cluster/slot/slot.ts";
import type { FromThread, ToThread } from "../../drivers/cluster/slot/thread-messages.ts";
import { Reception } from "../../drivers/exchange/handshake.ts";
import { portWire } from "../../drivers/exchange/wire/port-wire.ts";
import { TcpTransport } from "../../drivers/exchange/wire/tcp-wire.ts";
import type { Transport } from "../../drivers/exchange/wire/wire.ts";
import { TlsFiles } from "../../drivers/tls/tls-files.ts";
import { planFingerprint, planOf } from "../../plan/plan.ts";
import { openDeadLetterSink } from "../run/dead-letter-sink.ts";
import { loadJob } from "../run/load-job.ts";
import { openLog } from "../run/logging.ts";
import { openStateBackend } from "../run/state-backend.ts";
import { profileThread } from "./profile-thread.ts";
import type { SlotThreadData } from "./slot-config.ts";

const connectTimeoutMs = 30_000;
const rehearsalBytes = 4 * 1024 * 1024;

async function main(port: MessagePort, config: SlotThreadData): Promise<void> {
  const { run, index, host, exchangePort, tlsDir, taskManagerId, jobId, exchange } = config;
  const tell = (message: FromThread, transfer: readonly MessagePort[] = []): void => port.postMessage(message, [...transfer]);
  const log = (await openLog(config.log.format, config.log.level, (line) => process.stderr.write(`${line}\n`))).child({ slotIndex: index });
  const directory = join(config.directory, `slot-${index}`);
  // What a process that was killed has left behind.
  await rm(directory, { recursive: true, force: true });
  const dataflow = await loadJob(run.module, run.parameters);
  const reception = new Reception(dataflow.name, systemClock);
  const listenAt = {
    host,
    port: exchangePort === 0 ? 0 : exchangePort + index,
    ...(tlsDir === undefined ? {} : { tls: TlsFiles.open(tlsDir, log) }),
    refused: (peer: string, reason: string) => log.warn("an exchange connection was refused", { peer, reason }),
  };
  const tcp = await TcpTransport.listen(listenAt, (wire) => reception.incoming(wire));
  const transport: Transport = {
    dial: async (peer) => {
      if (peer.taskManagerId !== taskManagerId) return tcp.dial(peer);
      const { port1, port2 } = new MessageChannel();
      tell({ kind: "dial", port: peer.port, wire: port2 }, [port2]);
      return portWire(port1);
    },
  };
  // Rows on their way between slots are part of what the process may hold of bytes on their way.
  const exchangeBytes = Math.min(exchange.bufferBytes, Math.floor(run.bufferBytes / 4));
  const remote = run.storage === undefined ? undefined : await openStorage(run.storage, { s3: run.s3 });
  const { copies } = config;
  const storage = remote === undefined || copies === undefined ? remote : withLocalCopies(remote, copies);
  if (storage !== undefined && copies !== undefined) {
    await rehearseRestore(storage, `${jobId}/`, rehearsalBytes).catch((error: unknown) =>
      log.info("the newest checkpoint could not be read ahead", { reason: messageOf(error) }),
    );
  }
  const deadLetterSink = await openDeadLetterSink(run.deadLetters);
  const slot = new Slot(
    {
      dataflow,
      planFingerprint: planFingerprint(planOf(dataflow)),
      maxParallelism: run.maxParallelism,
      clock: systemClock,
      log,
      stateBackend: await openStateBackend(run, dataflow.nodes.filter(({ body }) => body.kind === "operator" && body.keyed).length),
      bufferBytes: run.bufferBytes - exchangeBytes,
      badRows: { onBadRecord: run.onBadRecord, maxPerMinute: run.maxBadPerMinute },
      ...(deadLetterSink === undefined ? {} : { deadLetterSink }),
      directory,
      ...(storage === undefined ? {} : { snapshots: { storage, folder: `${jobId}/`, compression: "zstd" as const } }),
      openSnapshot: snapshotOpener(dataflow, run.maxParallelism, { s3: run.s3 }, storage),
      exchange: { ...exchange, bufferBytes: exchangeBytes },
      transport,
      reception,
      connectTimeoutMs,
    },
    (event) => tell({ kind: "event", event }),
  );
  const close = async (): Promise<void> => {
    await slot.close();
    await tcp.close();
    await storage?.close();
    await rm(directory, { recursive: true, force: true });
    port.close();
  };
  port.on("message", (message: ToThread) => {
    switch (message.kind) {
      case "command":
        return slot.command(message.command);
      case "status":
        return tell({ kind: "status", request: message.request, status: slot.status() });
      case "wire":
        return reception.incoming(portWire(message.wire));
      case "profile":
        profileThread(message.durationMs).then(
          (profile) => tell({ kind: "profile", request: message.request, profile }),
          (error: unknown) => tell({ kind: "profile", request: message.request, problem: messageOf(error) }),
        );
        return;
      case "close":
        close().then(
          () => process.exit(0),
          (error: unknown) => {
            log.error("the slot could not be closed", { reason: messageOf(error) });
            process.exit(1);
          },
        );
    }
  });
  tell({ kind: "ready", port: tcp.port });
}

if (parentPort === null) throw new Error("a slot is a thread of a TaskManager");
await main(parentPort, workerData as SlotThreadData);
