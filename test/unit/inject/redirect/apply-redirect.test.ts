/* Applying the redirect with iptables commands that are scripts in a temporary directory. */
import { spawn } from 'node:child_process';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { TransientError } from '../../../../src/errors.ts';
import { applyRedirect, type StartCommand, setRedirect } from '../../../../src/inject/redirect/apply-redirect.ts';
import { parseRedirect } from '../../../../src/inject/redirect/rules.ts';

const ARGS = ['--map', '80:15101', '--blocked', '15099', '--ipv6', 'skip'];

describe('applyRedirect', () => {
  const path = process.env['PATH'];
  const { signal } = new AbortController();
  let directory: string;

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'redirect-'));
    process.env['PATH'] = `${directory}:/usr/bin:/bin`;
    for (const suffix of ['', '-nft', '-legacy']) {
      await install(`iptables${suffix}-restore`, 'echo unsupported >&2; exit 1');
      await install(`iptables${suffix}`, 'exit 1');
    }
  });

  afterEach(async () => {
    process.env['PATH'] = path;
    await rm(directory, { recursive: true });
  });

  /** A command that appends its arguments to `calls`, then runs `script`. */
  async function install(name: string, script: string): Promise<void> {
    const file = join(directory, name);
    await writeFile(file, `#!/bin/sh\necho "${name} $*" >> "${directory}/calls"\n${script}\n`);
    await chmod(file, 0o755);
  }

  const calls = async (): Promise<readonly string[]> => (await readFile(join(directory, 'calls'), 'utf8')).trim().split('\n');
  const failure = (): Promise<unknown> =>
    applyRedirect(ARGS, signal).then(
      () => undefined,
      (error: unknown) => error,
    );

  it('loads the rules together with the jump if it is missing', async () => {
    await install('iptables-restore', `cat > "${directory}/rules"`);

    const { programs } = await applyRedirect(ARGS, signal);

    expect(programs).to.deep.equal(['iptables']);
    expect(await calls()).to.deep.equal([
      'iptables -w 5 -t nat -C PREROUTING -p tcp -j SALLYPORT_INBOUND',
      'iptables-restore -w 5 --noflush',
    ]);
    const rules = await readFile(join(directory, 'rules'), 'utf8');
    expect(rules).to.contain('--dport 80 -j REDIRECT --to-ports 15101').and.contain('-A PREROUTING -p tcp -j SALLYPORT_INBOUND\nCOMMIT');
  });

  it('does not add a second jump', async () => {
    await install('iptables-restore', `cat > "${directory}/rules"`);
    await install('iptables', 'exit 0');

    await applyRedirect(ARGS, signal);

    expect(await readFile(join(directory, 'rules'), 'utf8'))
      .to.contain('COMMIT')
      .and.not.contain('PREROUTING');
  });

  it('tries the explicit kernel interfaces when the default command fails', async () => {
    await install('iptables-legacy-restore', 'cat > /dev/null');
    await install('iptables-legacy', 'exit 0');

    expect((await applyRedirect(ARGS, signal)).programs).to.deep.equal(['iptables-legacy']);
  });

  it('fails with the output of every command on one line when none works', async () => {
    await install('iptables-nft-restore', 'echo first >&2; echo second >&2; exit 2');

    const error = await failure();

    expect(error).to.be.instanceOf(TransientError).with.property('code', 'SP_REDIRECT');
    expect((error as Error).message).to.equal(
      'cannot redirect connections on this node: iptables: unsupported; iptables-nft: first second; iptables-legacy: unsupported',
    );
  });

  it('starts every command where the plan says', async () => {
    await install('ip6tables-restore', 'cat > /dev/null');
    await install('iptables-restore', 'cat > /dev/null');
    const started: string[] = [];
    const start: StartCommand = (program, args) => {
      started.push(program);
      return spawn(program, args);
    };
    const redirect = parseRedirect(['--all', '15006']);

    expect(await setRedirect({ redirect, hasIpv6: true, hasCanary: true, start }, signal)).to.deep.equal(['iptables', 'ip6tables']);
    expect(started).to.deep.equal(['iptables', 'iptables', 'iptables-restore', 'ip6tables', 'ip6tables', 'ip6tables-restore']);
  });

  it('fails with the reason when a command cannot be started', async () => {
    const start: StartCommand = () => {
      throw new Error('the namespace is gone');
    };
    const redirect = parseRedirect(['--all', '15006']);
    const error = await setRedirect({ redirect, hasIpv6: false, hasCanary: true, start }, signal).catch((thrown: unknown) => thrown);

    expect(error).to.have.property('code', 'SP_REDIRECT');
    expect((error as Error).message).to.contain('iptables: the namespace is gone');
  });
});
