import { expect } from 'chai';
import type { JwtRule } from '../../../src/api/istio/resources.ts';
import { createAddressGuards } from '../../../src/jwks/address-guard.ts';
import { CachedSources } from '../../../src/jwks/cached-sources.ts';

const KIB = 1024;
const MIB = 1024 * KIB;
const rule = (name: string): JwtRule => ({ issuer: 'i', jwksUri: `https://idp/${name}` });
const rules = (prefix: string, count: number): readonly JwtRule[] => Array.from({ length: count }, (_, at) => rule(`${prefix}${at}`));

let sources: CachedSources;
beforeEach(() => {
  sources = new CachedSources(createAddressGuards({ blockedCidrs: [] }));
});

/** Adds sources of this size to a namespace, as long as they are accepted. @returns their total size */
function fill(namespace: string, bytes: number): number {
  let total = 0;
  for (let at = 0; at < 4_000; at += 1) {
    const [added] = sources.want(`${namespace}/${at}`, namespace, [rule(`${namespace}/${at}`)]).added;
    if (added === undefined || sources.refusalOf(added, bytes) !== undefined) break;
    added.bytes = bytes;
    total += bytes;
  }
  return total;
}

describe('sources of keys', () => {
  it('returns what is new, what another owner wants as well, and what nothing wants any longer', () => {
    const first = sources.want('a', 'foo', [rule('x'), rule('y')]);
    expect(first.added.map(({ source }) => source.url)).to.deep.equal(['https://idp/x', 'https://idp/y']);
    const second = sources.want('b', 'bar', [rule('x')]);
    expect([second.added.length, second.joined.length]).to.deep.equal([0, 1]);

    const third = sources.want('a', 'foo', []);
    expect(third.removed.map(({ source }) => source.url)).to.deep.equal(['https://idp/y']);
    expect(sources.find(rule('x'), 'foo')).to.equal(first.added[0]);
    expect(sources.find(rule('y'), 'foo')).to.equal(undefined);
  });

  it('keeps sources of namespaces with other rights apart', () => {
    sources = new CachedSources(
      createAddressGuards({ blockedCidrs: [], internalSources: [{ cidrs: ['10.0.0.0/8'], namespaces: ['foo'] }] }),
    );
    for (const namespace of ['foo', 'bar', 'baz']) sources.want(`${namespace}/ra`, namespace, [rule('x')]);

    expect(sources.all()).to.have.length(2);
    expect(sources.find(rule('x'), 'bar')).to.equal(sources.find(rule('x'), 'baz'));
    expect(sources.find(rule('x'), 'foo')?.guard.refusalOf('10.0.0.1')).to.equal(undefined);
    expect(sources.find(rule('x'), 'bar')?.guard.refusalOf('10.0.0.1')).to.be.a('string');
  });

  it('has at most 4,096 sources of one namespace, whatever others have', () => {
    expect(sources.want('big', 'foo', rules('big', 5_000)).added).to.have.length(4_096);
    expect(sources.want('small', 'foo', [rule('one more')]).added).to.have.length(0);
    expect(sources.want('other', 'bar', rules('bar', 10)).added).to.have.length(10);
    expect([sources.isCutOff('foo'), sources.isCutOff('bar')]).to.deep.equal([true, false]);
  });

  it('adds what was left out as soon as others are removed', () => {
    sources.want('big', 'foo', rules('big', 4_096));
    sources.want('small', 'foo', rules('small', 3));
    expect(sources.want('big', 'foo', rules('big', 4_094)).added.map(({ source }) => source.url)).to.deep.equal([
      'https://idp/small0',
      'https://idp/small1',
    ]);
    expect(sources.isCutOff('foo')).to.equal(true);
    expect(sources.want('big', 'foo', []).added).to.have.length(1);
    expect(sources.isCutOff('foo')).to.equal(false);
  });

  it('adds first what was left out first', () => {
    sources.want('big', 'foo', rules('big', 4_096));
    for (const owner of ['first', 'second', 'third']) sources.want(owner, 'foo', [rule(owner)]);
    const added = [4_095, 4_094, 4_093].flatMap((count) => sources.want('big', 'foo', rules('big', count)).added);
    expect(added.map(({ source }) => source.url)).to.deep.equal(['https://idp/first', 'https://idp/second', 'https://idp/third']);
  });

  it('forgets what was left out with its policy', () => {
    sources.want('big', 'foo', rules('big', 4_096));
    sources.want('small', 'foo', rules('small', 3));
    sources.want('small', 'foo', []);
    expect(sources.isCutOff('foo')).to.equal(false);
    expect(sources.want('big', 'foo', []).added).to.have.length(0);
    expect(sources.all()).to.have.length(0);
  });

  it('refuses large key sets, and more than 8 MiB of keys of one namespace', () => {
    const [source] = sources.want('a', 'foo', [rule('x')]).added;
    if (source === undefined) throw new Error('no source');
    expect(sources.refusalOf(source, 256 * KIB)).to.equal(undefined);
    expect(sources.refusalOf(source, 256 * KIB + 1)).to.equal('its keys take more than 256 KiB');
    expect(fill('foo', 256 * KIB)).to.equal(8 * MIB);
  });

  it('accepts small key sets of a namespace when others use all memory', () => {
    let total = 0;
    for (let at = 0; at < 12; at += 1) total += fill(`hostile-${at}`, 256 * KIB);
    expect(total).to.be.at.most(64 * MIB);
    expect(fill('late', 64 * KIB)).to.equal(128 * KIB);
    expect(fill('late too', 4 * KIB)).to.equal(128 * KIB);
  });

  it('accepts a refresh of the same size when the memory is used up', () => {
    fill('foo', 256 * KIB);
    const [full] = sources.all();
    if (full === undefined) throw new Error('no source');
    expect(sources.refusalOf(full, full.bytes)).to.equal(undefined);
  });
});
