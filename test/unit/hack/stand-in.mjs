// Stands in for a test runner: writes the report that its first argument names, as vitest's JSON reporter would, and ends with its code.
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";

const [scenario, ...rest] = process.argv.slice(2);
const report = rest.find((one) => one.startsWith("--outputFile.json="))?.slice("--outputFile.json=".length);
const write = (passed, failed, total, files) => {
  writeFileSync(report, JSON.stringify({ numPassedTests: passed, numFailedTests: failed, numTotalTests: total, testResults: files }));
};
const tested = (status, index) => ({
  status,
  fullName: `test ${index}`,
  failureMessages: status === "failed" ? ["expected 1, saw 2"] : [],
});
const file = (status, ...tests) => ({
  name: `${process.cwd()}/some.test.ts`,
  status,
  message: status === "failed" && tests.every((one) => one === "passed") ? "it does not parse" : "",
  assertionResults: tests.map(tested),
});

const scenarios = {
  passes: () => write(2, 0, 2, [file("passed", "passed", "passed")]),
  fails: () => {
    write(1, 2, 3, [file("failed", "passed", "failed", "failed")]);
    process.exitCode = 1;
  },
  empty: () => write(0, 0, 0, []),
  skips: () => write(2, 0, 3, [file("passed", "passed", "passed", "pending")]),
  unloadable: () => {
    write(1, 0, 1, [file("passed", "passed"), file("failed"), file("failed")]);
    process.exitCode = 1;
  },
  crashes: () => process.exit(3),
  lies: () => {
    write(2, 0, 2, [file("passed", "passed", "passed")]);
    process.exitCode = 1;
  },
  hangs: () => {
    const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
    process.stdout.write(`child ${child.pid}\n`);
    setInterval(() => {}, 1000);
  },
};
scenarios[scenario]();
