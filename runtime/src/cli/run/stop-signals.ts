// What SIGTERM and SIGINT do to a running command.

/** Calls `stop` at the first signal; a second one ends the process at once. Returns what takes that back. */
export function onStopSignals(stop: () => void): () => void {
  let asked = false;
  const listener = (): void => {
    if (asked) process.exit(130);
    asked = true;
    stop();
  };
  process.on("SIGTERM", listener).on("SIGINT", listener);
  return () => process.off("SIGTERM", listener).off("SIGINT", listener);
}
