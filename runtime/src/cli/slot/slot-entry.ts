// Where a slot's thread begins: a thread does not share the compile cache of its process, and without it compiles everything at every start.
import { enableCompileCache } from "node:module";

enableCompileCache();
await import("./slot-main.ts");
