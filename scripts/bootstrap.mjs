/*
 * Entry point of `npm start` and `npm test`: plain JavaScript for Node 20 and newer. Installs the packages of
 * package-lock.json if they are not installed, then starts the newer Node that the package `node` provides.
 */
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const nodeBinary = join(root, 'node_modules', 'node', 'bin', 'node');
const [task, ...rest] = process.argv.slice(2);
const targets = { start: 'examples/jwt-task/demo.ts', test: 'scripts/test.ts' };

/** Installs the locked packages unless they are already installed. */
function install() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const marker = join(root, 'node_modules', '.sallyport-lock');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === lock && existsSync(nodeBinary)) return;
  process.stderr.write('sallyport: installing packages …\n');
  const npm = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (npm.status !== 0) fail(`npm ci failed with status ${npm.status ?? npm.signal}`);
  if (!existsSync(nodeBinary)) {
    // npm may be configured not to run install scripts; this one puts the binary in place.
    spawnSync(process.execPath, [join(root, 'node_modules', 'node', 'installArchSpecificPackage.js')], {
      cwd: join(root, 'node_modules', 'node'),
      stdio: 'inherit',
    });
  }
  if (!existsSync(nodeBinary)) fail('the package `node` has no binary for this platform');
  writeFileSync(marker, lock);
}

/** @param {string} reason */
function fail(reason) {
  process.stderr.write(`sallyport: ${reason}\n`);
  process.exit(1);
}

const target = targets[/** @type {'start' | 'test'} */ (task)];
if (target === undefined) fail(`unknown task ${task}; known: ${Object.keys(targets).join(', ')}`);
install();
const path = `${join(root, 'node_modules', '.bin')}:${dirname(nodeBinary)}:${process.env.PATH ?? ''}`;
const child = spawn(nodeBinary, ['--disable-sigusr1', join(root, target), ...rest], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: path },
});
// The terminal sends Ctrl-C to the child, too; this process must outlive it.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));
