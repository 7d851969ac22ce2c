// The cable between this machine and a node: a pair of virtual interfaces, and a subnet that no other node has.
import { cacheFolder } from "../paths.mjs";
import { Problem } from "../problem.mjs";
import { withLock } from "../state.mjs";
import { run } from "../tools.mjs";

const SUBNETS = 250;

/**
 * Lays a cable into the network namespace of process `pid`, with the subnet 10.88.`number`.0/24. The machine is `.1` there, the node `.2`.
 * It disappears with the namespace.
 */
export function layCable(number, pid) {
  const name = `mr-${number}`;
  run("ip", ["link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", String(pid)], {
    next: "making network interfaces needs root with CAP_NET_ADMIN; start Docker to go without",
  });
  run("ip", ["addr", "add", `10.88.${number}.1/24`, "dev", name]);
  run("ip", ["link", "set", name, "up"]);
}

/** Runs `take(number)` with a number that no interface of this machine uses; alone, so that two nodes never get the same. */
export function withFreeSubnet(take) {
  return withLock(
    "cluster-network",
    () => {
      const addresses = JSON.parse(run("ip", ["-j", "addr"])).flatMap((link) => link.addr_info.map((one) => one.local));
      for (let number = 0; number < SUBNETS; number++)
        if (!addresses.some((address) => address?.startsWith(`10.88.${number}.`))) return take(number);
      throw new Problem("every subnet of 10.88.0.0/16 is in use", "end a cluster: hack/cluster down --name NAME");
    },
    { folder: cacheFolder },
  );
}
