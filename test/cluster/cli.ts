/*
 * Command line for a test node: build the programs, start a node and keep it running, stop it, inspect it. Writes shell
 * commands to eval to stdout and messages to stderr. See `node test/cluster/cli.ts --help`.
 */
import { execFileSync } from 'node:child_process';
import { Command, Option } from 'commander';
import { build } from './build.ts';
import type { TestNode } from './node.ts';
import { attachNode, startNode } from './node.ts';
import { missingFor } from './prerequisites.ts';
import { isInUse, nodeState, tearDown } from './state.ts';
import type { Suite } from './versions.ts';

const program = new Command('cluster').description('A real one-node Kubernetes for the tests, by hand.');

program
  .command('build')
  .description('build what the suites need, through the Go module proxy, into the cache')
  .addOption(new Option('--only <suite>', 'no more than this suite needs').choices(['integration', 'e2e']).default('e2e'))
  .action(({ only }: { only: Suite }) => build(only));

program
  .command('up')
  .description('bring a node up and leave it; prints the environment to use it, for eval')
  .option('--state <directory>', 'state directory, new or empty, at most 38 characters (default: a temporary one)')
  .option('--audit', 'write an audit log')
  .action(up);

program
  .command('down')
  .description('end the node and remove every trace of it')
  .action(() => {
    const state = nodeState();
    if (state) tearDown(state);
    say(state ? `${state} is gone` : 'no test node is up');
  });

program.command('status').description('report whether a node is up, with its pods; exit code 3 when no node is up').action(status);

await program.parseAsync();

async function up(options: { readonly state?: string; readonly audit?: boolean }): Promise<void> {
  const running = nodeState();
  if (running && isInUse(running)) {
    say(`up already`);
    tell(await attachNode(running));
    return;
  }
  const missing = missingFor('e2e');
  if (missing.length > 0) throw new Error(`this machine lacks ${missing.join('; ')}`);
  const { state, audit } = options;
  const node = await startNode({ outlive: true, fresh: true, ...(state ? { stateDir: state } : {}), ...(audit ? { audit } : {}) });
  say('up; end it with: node test/cluster/cli.ts down');
  tell(node);
}

async function status(): Promise<void> {
  const state = nodeState();
  if (!state || !isInUse(state)) {
    say('no test node is up');
    process.exitCode = 3;
    return;
  }
  const node = await attachNode(state);
  say(`up at ${state}, ${node.url}`);
  execFileSync(node.kubectlPath, [`--kubeconfig=${node.kubeconfigPath}`, 'get', 'pods', '-A', '-o', 'wide'], { stdio: 'inherit' });
}

function tell(node: TestNode): void {
  const own = node.path.split(':').slice(0, -(process.env['PATH'] ?? '').split(':').length);
  process.stdout.write(`export KUBECONFIG=${node.kubeconfigPath}\n`);
  process.stdout.write(`export PATH=${own.join(':')}:$PATH\n`);
  process.stdout.write(`export SALLYPORT_TEST_CLUSTER=${node.stateDir}\n`);
}

function say(message: string): void {
  process.stderr.write(`${message}\n`);
}
