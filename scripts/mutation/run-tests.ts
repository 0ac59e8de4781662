/*
 * Runs unit tests in a copy of the project.
 */
import { spawn } from 'node:child_process';

/** Whether all tests of `files` pass within `timeoutMs`; what is left of the processes then is killed. */
export async function testsPass(root: string, files: readonly string[], timeoutMs: number): Promise<boolean> {
  const mocha = ['node_modules/mocha/bin/mocha.js', '--no-config', '--bail', '--exit', '--timeout', '20000', ...files];
  const child = spawn(process.execPath, mocha, { cwd: root, stdio: 'ignore', detached: true });
  const timer = setTimeout(() => killGroup(child.pid), timeoutMs);
  const code = await new Promise((resolve) => {
    child.on('error', () => resolve(1));
    child.on('exit', resolve);
  });
  clearTimeout(timer);
  killGroup(child.pid);
  return code === 0;
}

function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // It has no process any more.
  }
}
