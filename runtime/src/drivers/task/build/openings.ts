// What is being opened side by side: one failure ends the wait for it, but nothing may be closed before everything else has settled.
export class Openings {
  readonly #under: Promise<unknown>[] = [];

  begin<T>(open: () => Promise<T>): Promise<T> {
    const opening = open();
    // Whoever awaits it hears of its failure; until then it must not count as unhandled.
    opening.catch(() => undefined);
    this.#under.push(opening);
    return opening;
  }

  async settled(): Promise<void> {
    await Promise.allSettled(this.#under);
  }
}
