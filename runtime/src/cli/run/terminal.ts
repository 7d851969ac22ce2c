// The terminal of a running command: log lines above, one live line below.

export interface Terminal {
  /** A line of the log. */
  print(line: string): void;
  /** Replaces the live line; on something that is no terminal it does nothing. */
  live(line: string): void;
  /** Removes the live line. */
  end(): void;
  readonly columns: number;
  readonly isLive: boolean;
}

export function openTerminal(stream: NodeJS.WriteStream, live: boolean): Terminal {
  const isLive = live && stream.isTTY;
  let current = "";
  const clear = (): void => {
    if (current !== "") stream.write("\r\u001b[2K");
  };
  return {
    isLive,
    get columns() {
      return stream.columns ?? 120;
    },
    print(line) {
      clear();
      stream.write(`${line}\n`);
      if (current !== "") stream.write(current);
    },
    live(line) {
      if (!isLive || line === current) return;
      clear();
      current = line;
      stream.write(line);
    },
    end() {
      clear();
      current = "";
    },
  };
}
