// The transports, each by the contract's suite: in memory, by message ports, by TCP.
import { MessageChannel } from "node:worker_threads";
import { describe, expect, test } from "vitest";
import { FrameSplitter } from "./frame-splitter.ts";
import { MemoryNetwork } from "./memory-wire.ts";
import { portWire } from "./port-wire.ts";
import { TcpTransport } from "./tcp-wire.ts";
import { overTcp } from "./over-tcp.suite.ts";
import { type TestNetwork, wireSuite } from "./wire.suite.ts";

wireSuite("in memory", async (incoming) => {
  const network = new MemoryNetwork();
  network.listen(1, incoming);
  return { transport: network.transport(), address: { slot: 1, taskManagerId: "b", host: "", port: 1 }, close: async () => {} };
});

wireSuite("by message ports", async (incoming) => {
  const opened: MessageChannel[] = [];
  const dial = async (): ReturnType<TestNetwork["transport"]["dial"]> => {
    const channel = new MessageChannel();
    opened.push(channel);
    incoming(portWire(channel.port2));
    return portWire(channel.port1);
  };
  const close = async (): Promise<void> => {
    for (const { port1, port2 } of opened) {
      port1.close();
      port2.close();
    }
  };
  return { transport: { dial }, address: { slot: 1, taskManagerId: "a", host: "", port: 1 }, close };
});

wireSuite("by TCP", (incoming) => overTcp(incoming));

describe("TCP", () => {
  test("a slot that nobody serves cannot be reached", async () => {
    const [gone, client] = [
      await TcpTransport.listen({ host: "127.0.0.1", port: 0 }, () => {}),
      await TcpTransport.listen({ host: "127.0.0.1", port: 0 }, () => {}),
    ];
    const address = { slot: 5, taskManagerId: "b", host: "127.0.0.1", port: gone.port };
    await gone.close();
    await expect(client.dial(address)).rejects.toMatchObject({
      code: "EXCHANGE_UNREACHABLE",
      subject: `slot 5 at 127.0.0.1:${address.port}`,
    });
    await client.close();
  });

  test("bytes that are no frame end the connection", () => {
    const splitter = new FrameSplitter(() => {});
    expect(() => splitter.push(Buffer.from("GET / HTTP/1.1\r\n"))).toThrow("does not begin as one");
    const long = Buffer.alloc(32);
    long.writeUInt32LE(0x3146584d, 0);
    long.writeUInt32LE(2 ** 31, 4);
    expect(() => new FrameSplitter(() => {}).push(long)).toThrow("says it has");
  });
});
