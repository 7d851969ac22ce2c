#!/usr/bin/env node
// The plugin `kubectl millrace`.
import { enableCompileCache } from "node:module";

enableCompileCache();
const { main } = await import("../dist/kubectl/main.js");
await main(process.argv);
