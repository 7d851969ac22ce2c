// SIGTERM and SIGINT (and the end of a parent process) as a promise; a second one ends the process at once.

export interface StopSignal {
  readonly asked: Promise<"stop">;
  release(): void;
}

export function stopSignal(): StopSignal {
  const { promise: asked, resolve } = Promise.withResolvers<"stop">();
  let count = 0;
  const listener = (): void => {
    if (count++ > 0) process.exit(130);
    resolve("stop");
  };
  process.on("SIGTERM", listener).on("SIGINT", listener);
  // Of a local run: the parent is gone.
  if (process.send !== undefined) process.once("disconnect", listener);
  return {
    asked,
    release: () => {
      process.off("SIGTERM", listener).off("SIGINT", listener).off("disconnect", listener);
    },
  };
}
