// An error a person can act on: what is wrong and the next step. Anything else is a defect and keeps its stack.

export class Problem extends Error {
  constructor(problem, next) {
    super(`${problem}\n  next: ${next}`);
    this.name = "Problem";
  }
}

/** Runs the program of a command; prints a Problem without its stack and ends with 1. */
export async function runMain(main) {
  try {
    await main();
  } catch (error) {
    process.stderr.write(`${error instanceof Problem ? error.message : (error?.stack ?? error)}\n`);
    process.exitCode = 1;
  }
}
