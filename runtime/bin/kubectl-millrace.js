#!/usr/bin/env node
// The plugin `kubectl millrace`.
import { requireSupportedNode } from "./supported-node.js";

requireSupportedNode();
const { enableCompileCache } = await import("node:module");
enableCompileCache();
const { main } = await import("../dist/kubectl/main.js");
await main(process.argv);
