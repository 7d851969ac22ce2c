// A bootstrap server as a pod of a namespace means it, for a process in another namespace.

/** Name and port; addresses have dots or colons. */
const oneLabel = /^([a-z0-9](?:[-a-z0-9]*[a-z0-9])?):(\d+)$/i;

/** Only a name of one label is looked up in the namespace of whoever asks; every other name means the same everywhere. */
export function namespaceServer(server: string, namespace: string): string {
  const [, host, port] = oneLabel.exec(server) ?? [];
  if (host === undefined || host.toLowerCase() === "localhost") return server;
  return `${host}.${namespace}.svc:${port}`;
}
