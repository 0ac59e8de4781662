/*
 * The directory sink on a real folder: layout, swap, what is left behind.
 */
import { mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect } from 'chai';
import type { EncodedBundle } from '../../../src/bundle/bundle.ts';
import { bundleDirectory, createDirectorySink } from '../../../src/delivery/directory-sink.ts';

const workload = { namespace: 'foo', name: 'httpbin' };
const bundle = (digit: string): EncodedBundle => ({ workload, digest: `sha256:${digit.repeat(64)}`, json: `{"bundle":"${digit}"}` });
const signal = new AbortController().signal;

describe('the directory sink', () => {
  let root = '';

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'sallyport-sink-'));
  });

  afterEach(async () => {
    await rm(root, { recursive: true, force: true });
  });

  it('lays a bundle out like a mounted ConfigMap and leaves no older version behind', async () => {
    const sink = await createDirectorySink(root);
    const directory = bundleDirectory(root, workload);

    expect(await sink.apply(bundle('a'), {}, signal)).to.equal('created');
    const first = await readlink(join(directory, '..data'));
    expect(await sink.apply(bundle('b'), {}, signal)).to.equal('updated');

    expect(await readFile(join(directory, 'bundle.json'), 'utf8')).to.equal('{"bundle":"b"}');
    expect(await readFile(join(directory, 'bundle.sha256'), 'utf8')).to.equal(bundle('b').digest);
    expect(await readlink(join(directory, 'bundle.json'))).to.equal('..data/bundle.json');
    expect(await readdir(directory)).to.not.include(first);
    expect(await readdir(directory)).to.have.length(4);
  });

  it('writes nothing when the digest is the same', async () => {
    const sink = await createDirectorySink(root);
    await sink.apply(bundle('a'), {}, signal);
    const before = await readlink(join(bundleDirectory(root, workload), '..data'));

    expect(await sink.apply(bundle('a'), {}, signal)).to.equal('unchanged');
    expect(await readlink(join(bundleDirectory(root, workload), '..data'))).to.equal(before);
  });

  it('lists what an earlier run left and removes it', async () => {
    await (await createDirectorySink(root)).apply(bundle('a'), {}, signal);

    const sink = await createDirectorySink(root);

    expect(sink.list()).to.deep.equal([workload]);
    expect(await sink.remove(workload, signal)).to.equal(true);
    expect(await sink.remove(workload, signal)).to.equal(false);
    expect(await readdir(join(root, 'foo'))).to.deep.equal([]);
  });
});
