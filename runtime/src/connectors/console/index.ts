// Sinks for looking and for measuring: the terminal, and nothing.
export { blackhole } from "./blackhole.ts";
export { consoleSink, type ConsoleSinkOptions } from "./console-sink.ts";
export type { TextOutput } from "./shared-output.ts";
