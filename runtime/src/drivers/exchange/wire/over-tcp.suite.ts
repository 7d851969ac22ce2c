// A network of two slots over loopback TCP, for the transports' suite.
import type { TlsSource } from "../../tls/tls-files.ts";
import { TcpTransport } from "./tcp-wire.ts";
import type { TestNetwork } from "./wire.suite.ts";
import type { Incoming } from "./wire.ts";

export async function overTcp(incoming: Incoming, tls?: TlsSource): Promise<TestNetwork> {
  const options = { host: "127.0.0.1", port: 0, ...(tls === undefined ? {} : { tls }) };
  const server = await TcpTransport.listen(options, incoming);
  const client = await TcpTransport.listen(options, () => {});
  const close = async (): Promise<void> => {
    await server.close();
    await client.close();
  };
  return { transport: client, address: { slot: 1, taskManagerId: "b", host: "127.0.0.1", port: server.port }, close };
}
