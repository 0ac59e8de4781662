import { expect } from 'chai';
import packageJson from '../../../package.json' with { type: 'json' };
import { CommandFault } from '../../../src/cli/command-context.ts';
import { InvariantError, RefusedError, TransientError } from '../../../src/errors.ts';
import { runCommand } from '../../support/cli-context.ts';

describe('the program', () => {
  it('prints its version', async () => {
    expect(await runCommand(['--version'])).to.deep.equal({ exitCode: 0, stdout: `${packageJson.version}\n`, stderr: '' });
  });

  it('prints help on stdout when asked for it', async () => {
    const { exitCode, stdout, stderr } = await runCommand(['--help']);

    expect([exitCode, stderr]).to.deep.equal([0, '']);
    for (const name of ['run', 'check', 'compile', 'inject', 'controller', 'agent', 'completion', 'version'])
      expect(stdout).to.include(`\n  ${name} `);
  });

  const wrong: readonly (readonly [name: string, args: readonly string[], said: string])[] = [
    ['no command', [], 'Usage: sallyport'],
    ['an unknown command', ['chek', 'x'], "sallyport: unknown command 'chek'"],
    ['an unknown option', ['check', '--nope', 'x'], "sallyport: unknown option '--nope'"],
    ['an argument that is missing', ['check'], "sallyport: missing required argument 'path'"],
    ['an option that is missing', ['inject'], "sallyport: required option '-f, --filename <file...>' not specified"],
    ['a value that is no choice', ['check', '-o', 'xml', 'x'], "argument 'xml' is invalid. Allowed choices are table, json, yaml, sarif."],
  ];
  for (const [name, args, said] of wrong) {
    it(`ends with 64 and says so on stderr: ${name}`, async () => {
      const { exitCode, stdout, stderr } = await runCommand(args);

      expect([exitCode, stdout]).to.deep.equal([64, '']);
      expect(stderr).to.include(said);
    });
  }

  const thrown: readonly (readonly [name: string, error: unknown, exitCode: number, line: string])[] = [
    ['a fault with its own code', new CommandFault(65, 'x.yaml: cannot be read'), 65, 'sallyport: x.yaml: cannot be read\n'],
    ['refused input', new RefusedError('SP_CONFIG', 'workers: too many'), 65, 'sallyport: workers: too many [SP_CONFIG]\n'],
    ['a fault of the outside', new TransientError('SP_TIMEOUT', 'no answer'), 1, 'sallyport: no answer [SP_TIMEOUT]\n'],
    ['a bug', new InvariantError('impossible'), 1, 'sallyport: a bug: impossible [SP_INVARIANT]; SALLYPORT_DEBUG=1 shows where\n'],
    [
      'an error nobody expected',
      new TypeError('x is not'),
      1,
      'sallyport: a bug: x is not [SP_INVARIANT]; SALLYPORT_DEBUG=1 shows where\n',
    ],
  ];
  for (const [name, error, exitCode, line] of thrown) {
    it(`ends with ${exitCode} and one line for ${name}`, async () => {
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors
      const processes = { controller: () => Promise.reject(error), agent: () => Promise.resolve(0) };

      expect(await runCommand(['controller'], { processes })).to.deep.equal({ exitCode, stdout: '', stderr: line });
    });
  }

  for (const name of ['controller', 'agent'] as const) {
    it(`hands all flags to the ${name} untouched, and its exit code back`, async () => {
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

  it('says what it runs on', async () => {
    const { stdout } = await runCommand(['version', '-o', 'json']);

    expect(JSON.parse(stdout)).to.deep.equal({
      version: packageJson.version,
      node: process.versions.node,
      platform: `${process.platform}-${process.arch}`,
    });
    expect((await runCommand(['version'])).stdout).to.match(/^sallyport \d+\.\d+\.\d+ \(Node\.js /);
  });
});
