import { expect } from 'chai';
import packageJson from '../../../package.json' with { type: 'json' };
import { CommandError } from '../../../src/cli/context/command-context.ts';
import { InvariantError, RefusedError, TransientError } from '../../../src/errors.ts';
import { runCommand } from '../../support/cli-context.ts';

describe('sallyport', () => {
  it('prints its version', async () => {
    expect(await runCommand(['--version'])).to.deep.equal({ exitCode: 0, stdout: `${packageJson.version}\n`, stderr: '' });
  });

  it('prints help on stdout for --help', async () => {
    const { exitCode, stdout, stderr } = await runCommand(['--help']);

    expect([exitCode, stderr]).to.deep.equal([0, '']);
    for (const name of ['run', 'check', 'compile', 'inject', 'controller', 'agent', 'completion', 'version'])
      expect(stdout).to.include(`\n  ${name} `);
  });

  const invalid: readonly (readonly [name: string, args: readonly string[], message: string])[] = [
    ['no command', [], 'Usage: sallyport'],
    ['an unknown command', ['chek', 'x'], "sallyport: unknown command 'chek'"],
    ['an unknown option', ['check', '--nope', 'x'], "sallyport: unknown option '--nope'"],
    ['a missing argument', ['compile'], "sallyport: missing required argument 'path'"],
    ['a missing required option', ['inject'], "sallyport: required option '-f, --filename <file...>' not specified"],
    ['an invalid choice', ['check', '-o', 'xml', 'x'], "argument 'xml' is invalid. Allowed choices are table, json, yaml, sarif."],
  ];
  for (const [name, args, message] of invalid) {
    it(`exits with 64 and a message on stderr for ${name}`, async () => {
      const { exitCode, stdout, stderr } = await runCommand(args);

      expect([exitCode, stdout]).to.deep.equal([64, '']);
      expect(stderr).to.include(message);
    });
  }

  const thrown: readonly (readonly [name: string, error: unknown, exitCode: number, line: string])[] = [
    ['a CommandError', new CommandError(65, 'x.yaml: cannot be read'), 65, 'sallyport: x.yaml: cannot be read\n'],
    ['a RefusedError', new RefusedError('SP_CONFIG', 'workers: too many'), 65, 'sallyport: workers: too many [SP_CONFIG]\n'],
    ['a TransientError', new TransientError('SP_TIMEOUT', 'no answer'), 1, 'sallyport: no answer [SP_TIMEOUT]\n'],
    [
      'an InvariantError',
      new InvariantError('impossible'),
      1,
      'sallyport: internal error: impossible [SP_INVARIANT]; set SALLYPORT_DEBUG=1 for a stack trace\n',
    ],
    [
      'an unexpected error',
      new TypeError('x is not'),
      1,
      'sallyport: internal error: x is not [SP_INVARIANT]; set SALLYPORT_DEBUG=1 for a stack trace\n',
    ],
  ];
  for (const [name, error, exitCode, line] of thrown) {
    it(`exits with ${exitCode} and writes one line for ${name}`, async () => {
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors
      const processes = { controller: () => Promise.reject(error), agent: () => Promise.resolve(0) };

      expect(await runCommand(['controller'], { processes })).to.deep.equal({ exitCode, stdout: '', stderr: line });
    });
  }

  for (const name of ['controller', 'agent'] as const) {
    it(`passes all flags to the ${name} unparsed and returns its exit code`, async () => {
      let seen: readonly string[] = [];
      const process = (args: readonly string[]): Promise<number> => {
        seen = args;
        return Promise.resolve(78);
      };

      const { exitCode } = await runCommand([name, '--log-level', 'debug', '--', 'x'], {
        processes: { controller: process, agent: process },
      });

      expect(exitCode).to.equal(78);
      expect(seen.slice(0, 2)).to.deep.equal(['--log-level', 'debug']);
    });
  }

  it('prints its version and runtime', async () => {
    const { stdout } = await runCommand(['version', '-o', 'json']);

    expect(JSON.parse(stdout)).to.deep.equal({
      apiVersion: 'cli.sallyport.dev/v1',
      kind: 'Version',
      version: packageJson.version,
      node: process.versions.node,
      platform: `${process.platform}-${process.arch}`,
    });
    expect((await runCommand(['version'])).stdout).to.match(/^sallyport \d+\.\d+\.\d+ \(Node\.js /);
  });
});

describe('sallyport help', () => {
  it('prints the help of the named command, and of the program without one', async () => {
    for (const [words, same] of [
      [['help'], ['--help']],
      [
        ['help', 'check'],
        ['check', '--help'],
      ],
      [
        ['help', 'keys'],
        ['keys', '--help'],
      ],
      [
        ['help', 'keys', 'rotate'],
        ['keys', 'rotate', '--help'],
      ],
    ] as const) {
      const { exitCode, stdout } = await runCommand(words);

      expect(exitCode, words.join(' ')).to.equal(0);
      expect(stdout).to.equal((await runCommand(same)).stdout);
    }
  });

  it('exits with 64 for an unknown command', async () => {
    const { exitCode, stderr } = await runCommand(['help', 'chek']);

    expect([exitCode, stderr]).to.deep.equal([64, "sallyport: unknown command 'chek'\n(Did you mean check?)\n"]);
  });

  it('has an example for every command', async () => {
    const { stdout } = await runCommand(['--help']);
    const names = [...stdout.matchAll(/^ {2}([a-z]+)(?: |$)/gm)].map(([, name = '']) => name).filter((name) => name !== 'help');
    expect(names.length).to.be.greaterThan(10);
    for (const name of names) {
      const help = (await runCommand([name, '--help'])).stdout;
      const below = [...help.matchAll(/^ {2}([a-z]+) (?:\[options]|<)/gm)].map(([, word = '']) => word);
      const helps =
        below.length === 0 ? [help] : await Promise.all(below.map(async (word) => (await runCommand([name, word, '-h'])).stdout));
      for (const text of helps) expect(text, name).to.match(/\nExamples:\n {2}\S/);
    }
  });
});

describe('help of the long-running processes', () => {
  it('lists the flags of the controller and of the agent', async () => {
    const [controller, agent] = [await runCommand(['controller', '--help']), await runCommand(['agent', '--help'])];

    expect([controller.exitCode, agent.exitCode]).to.deep.equal([0, 0]);
    expect(controller.stdout)
      .to.match(/--log-level +logLevel of the configuration, or \$SALLYPORT_LOG_LEVEL/)
      .and.to.include('--config');
    expect(agent.stdout).to.match(/--drain-seconds +Seconds .*\$SALLYPORT_DRAIN_SECONDS; default: 10/);
  });
});
