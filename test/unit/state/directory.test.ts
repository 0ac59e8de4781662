/*
 * `followDirectory` with a real directory: what it reads, what it keeps, what it reports.
 */
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import { type DirectorySnapshot, followDirectory } from '../../../src/state/directory.ts';

const policy = (name: string): string =>
  `apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: ${name}, namespace: foo}\nspec: {}\n`;

describe('followDirectory', () => {
  let directory = '';
  let snapshots: DirectorySnapshot[] = [];
  let abort = new AbortController();
  let running: Promise<void> = Promise.resolve();

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'sallyport-source-'));
    snapshots = [];
    abort = new AbortController();
  });

  afterEach(async () => {
    abort.abort();
    await running;
    await rm(directory, { recursive: true, force: true });
  });

  const start = (): void => {
    running = followDirectory({ directory, settleMs: 10, pollMs: 50, onSnapshot: (snapshot) => snapshots.push(snapshot) }, abort.signal);
  };
  const names = (): string[] => snapshots.at(-1)?.objects.map(({ object }) => object.metadata.name) ?? [];
  const until = async (what: () => boolean): Promise<void> => {
    for (let tries = 0; tries < 6000 && !what(); tries += 1) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(what(), JSON.stringify(snapshots.at(-1))).to.equal(true);
  };

  it('reads every manifest in the directory, in order of file names, and flattens lists', async () => {
    await writeFile(join(directory, 'b.yaml'), `${policy('b1')}---\n${policy('b2')}`);
    await writeFile(join(directory, 'a.yml'), `apiVersion: v1\nkind: List\nitems:\n- ${policy('a').replaceAll('\n', '\n  ').trim()}\n`);
    await writeFile(join(directory, '.hidden.yaml'), policy('hidden'));
    await writeFile(join(directory, 'notes.txt'), 'no manifest');

    start();

    await until(() => snapshots.length > 0);
    expect(names()).to.deep.equal(['a', 'b1', 'b2']);
    expect(snapshots[0]?.objects.map(({ origin }) => `${origin.file}:${origin.line}`)).to.deep.equal(['a.yml:1', 'b.yaml:1', 'b.yaml:6']);
  });

  it('follows edits, new files, renames and deletions', async () => {
    await writeFile(join(directory, 'a.yaml'), policy('one'));
    start();
    await until(() => names().join() === 'one');

    await writeFile(join(directory, 'a.yaml'), policy('two'));
    await until(() => names().join() === 'two');
    await writeFile(join(directory, '.b.tmp'), policy('three'));
    await rename(join(directory, '.b.tmp'), join(directory, 'b.yaml'));
    await until(() => names().join() === 'two,three');
    await rm(join(directory, 'a.yaml'));
    await until(() => names().join() === 'three');
  });

  it('keeps the last good objects of a file that is broken or emptied, and reports it', async () => {
    await writeFile(join(directory, 'a.yaml'), policy('one'));
    start();
    await until(() => names().join() === 'one');

    await writeFile(join(directory, 'a.yaml'), `${policy('two')}---\nkind: [unclosed\n`);
    await until(() => (snapshots.at(-1)?.findings.length ?? 0) > 0);
    expect(names()).to.deep.equal(['one']);
    expect(snapshots.at(-1)?.findings[0]).to.include({ code: 'SP_MANIFEST', severity: 'error' });

    await writeFile(join(directory, 'a.yaml'), '');
    await until(() => snapshots.at(-1)?.findings[0]?.message.includes('empty') === true);
    expect(names()).to.deep.equal(['one']);

    await writeFile(join(directory, 'a.yaml'), policy('three'));
    await until(() => names().join() === 'three');
    expect(snapshots.at(-1)?.findings).to.deep.equal([]);
  });

  it('uses the first of two objects of the same name and reports both positions', async () => {
    await writeFile(join(directory, 'a.yaml'), policy('same'));
    await writeFile(join(directory, 'b.yaml'), policy('same'));

    start();

    await until(() => snapshots.length > 0);
    expect(names()).to.deep.equal(['same']);
    expect(snapshots[0]?.findings[0]?.message).to.include('already defined in a.yaml:1');
  });

  it('rejects text that is not a Kubernetes object, with file and reason', async () => {
    await writeFile(join(directory, 'a.yaml'), 'apiVersion: v1\nkind: Pod\nmetadata: {}\n');
    await writeFile(join(directory, 'b.yaml'), '- 1\n- 2\n');

    start();

    await until(() => snapshots.length > 0);
    expect(snapshots[0]?.findings.map(({ origin, message }) => `${origin.file}: ${message}`)).to.deep.equal([
      'a.yaml: metadata.name is missing',
      'b.yaml: not a Kubernetes object: a mapping with apiVersion, kind and metadata is expected',
    ]);
  });

  it('fails immediately when the directory does not exist', async () => {
    const result = await followDirectory({ directory: join(directory, 'nowhere'), onSnapshot: () => {} }, abort.signal).catch(
      (error: NodeJS.ErrnoException) => error.code,
    );

    expect(result).to.equal('ENOENT');
  });
});
