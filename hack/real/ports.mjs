// Free loopback ports, taken from below the range that the system gives to outgoing connections, so that none takes one in between.
import { createServer } from "node:net";
import { Problem } from "./problem.mjs";

const FIRST = 20_000;
const COUNT = 10_000;

/** `count` different ports on which nothing listens. */
export async function freePorts(count) {
  const found = [];
  const held = [];
  try {
    for (let attempt = 0; found.length < count && attempt < 2000; attempt++) {
      const port = FIRST + Math.floor(Math.random() * COUNT);
      const server = await listen(port);
      if (server === undefined) continue;
      held.push(server);
      found.push(port);
    }
  } finally {
    await Promise.all(held.map((server) => new Promise((done) => server.close(done))));
  }
  if (found.length < count) throw new Problem("no free port between 20000 and 29999", "end programs that listen there, or give --port");
  return found;
}

/** True when nothing listens on this port of the address, loopback if none is given. */
export async function isFree(port, host) {
  const server = await listen(port, host);
  if (server === undefined) return false;
  await new Promise((done) => server.close(done));
  return true;
}

function listen(port, host = "127.0.0.1") {
  return new Promise((done) => {
    const server = createServer();
    server.once("error", () => done(undefined));
    server.listen({ host, port, exclusive: true }, () => done(server));
  });
}
