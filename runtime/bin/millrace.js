#!/usr/bin/env -S node --max-semi-space-size=8
// The `millrace` command. A compile cache makes the second start about twice as fast. The engine makes few objects that die young, so
// the young generation is kept from growing to the 64 MB and more that it takes otherwise: the flag works on the command line only.
import { requireSupportedNode } from "./supported-node.js";

requireSupportedNode();
const { enableCompileCache } = await import("node:module");
enableCompileCache();
const { main } = await import("../dist/cli/main.js");
await main(process.argv);
