// What a chaos program has started ends with the program, also when a signal ends that.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { afterEach, expect, test } from "vitest";

const helper = new URL("../../chaos/own-children.ts", import.meta.url).href;
const programs: ChildProcess[] = [];
const children: number[] = [];
afterEach(() => {
  for (const program of programs.splice(0)) program.kill("SIGKILL");
  for (const pid of children.splice(0)) {
    try {
      process.kill(pid, "SIGKILL");
    } catch {
      // It has ended, as it should.
    }
  }
});

/** A program with two children, one of them stopped; both hold its output open, so that its end is theirs. */
async function start(then: string): Promise<{ readonly program: ChildProcess; readonly closed: Promise<readonly unknown[]> }> {
  const source = `
    import { spawn } from "node:child_process";
    import { OwnChildren } from ${JSON.stringify(helper)};
    const own = new OwnChildren();
    new OwnChildren();
    const start = () => own.add(spawn(process.execPath, ["--eval", "setInterval(() => {}, 60_000)"], { stdio: ["ignore", "inherit", "ignore"] }));
    const [one, two] = [start(), start()];
    two.kill("SIGSTOP");
    process.stdout.write(one.pid + " " + two.pid + "\\n");
    ${then}`;
  const program = spawn(process.execPath, ["--input-type=module", "--eval", source], { stdio: ["pipe", "pipe", "ignore"] });
  programs.push(program);
  const closed = once(program, "close");
  const [line] = (await once(program.stdout as NodeJS.ReadableStream, "data")) as [Buffer];
  children.push(...line.toString().trim().split(" ").map(Number));
  return { program, closed };
}

test.each([
  ["SIGINT", 130],
  ["SIGTERM", 143],
  ["SIGHUP", 129],
] as const)("%s ends the program with %i, and its children", { timeout: 30_000 }, async (signal, code) => {
  const { program, closed } = await start("process.stdin.resume();");
  program.kill(signal);
  expect(await closed).toEqual([code, null]);
});

test.each([
  ["by itself", "process.stdin.once('data', () => process.exit(0)).resume();", 0],
  ["by an error", "process.stdin.once('data', () => { throw new Error('wrong'); }).resume();", 1],
])("a program that ends %s takes its children with it", { timeout: 30_000 }, async (_how, then, code) => {
  const { program, closed } = await start(then);
  program.stdin?.write("end\n");
  expect(await closed).toEqual([code, null]);
});
