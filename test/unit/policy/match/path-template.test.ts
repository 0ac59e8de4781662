/*
 * Path templates, with the behaviour of Envoy 1.40.0.
 */
import { expect } from 'chai';
import { compilePathTemplate, effectiveTemplate, isPathTemplate, parsePathTemplate } from '../../../../src/policy/match/path-template.ts';

function matches(template: string, path: string): boolean {
  const parsed = parsePathTemplate(template);
  if (parsed === undefined) throw new Error(`rejects ${template}`);
  return compilePathTemplate(parsed)(path);
}

describe('path template', () => {
  it('is a value with an operator', () => {
    expect(isPathTemplate('/a/{*}')).to.equal(true);
    expect(isPathTemplate('/a/{**}')).to.equal(true);
    expect(isPathTemplate('/a/*')).to.equal(false);
    expect(isPathTemplate('/a/{id}')).to.equal(false);
  });

  const outcomes: readonly (readonly [template: string, path: string, matches: boolean])[] = [
    ['/foo/{*}/bar/{**}', '/foo/x/bar/', true],
    ['/foo/{*}/bar/{**}', '/foo/x/bar/y/z', true],
    ['/foo/{*}/bar/{**}', '/foo/x%2Fy/bar/z', true],
    ['/foo/{*}/bar/{**}', '/foo/x/bar//', true],
    ['/foo/{*}/bar/{**}', '/foo/a*b/bar/', true],
    ['/foo/{*}/bar/{**}', '/foo/x/bar', false],
    ['/foo/{*}/bar/{**}', '/foo//bar/y', false],
    ['/foo/{*}/bar/{**}', '/foo/x/y/bar/z', false],
    ['/foo/{*}/bar/{**}', '/foo/[x]/bar/z', false],
    ['/foo/{*}/bar/{**}', '/foo/x/bar/[z]', false],
    ['/{*}', '/a', true],
    ['/{*}', '/', false],
    ['/{*}', '/a/', false],
    ['/{*}/', '/a/', true],
    ['/{*}/', '/a', false],
    ['/{**}', '/', true],
    ['/{**}', '/a/b', true],
    ['/a/{**}/b', '/a//b', true],
    ['/a/{**}/b', '/a/x/y/b', true],
    ['/a/{**}/b', '/a/b', false],
    ['/a/{**}/b', '/a/x/c', false],
    ['/a.$(+)/{*}', '/a.$(+)/x', true],
    ['/a.b/{*}', '/aXb/x', false],
    ['/a/{*}', '/a/\u00e9', false],
  ];
  for (const [template, path, outcome] of outcomes) {
    it(`${template} ${outcome ? 'matches' : 'does not match'} ${path}`, () => {
      expect(matches(template, path)).to.equal(outcome);
    });
  }

  for (const template of [
    '{*}',
    'a/{*}',
    '//{*}',
    '/a//{*}',
    '/{*}//',
    '/{**}/{*}',
    '/{**}/{**}',
    '/a{*}',
    '/{*}.json',
    '/{*}/{id}',
    '/{*}/a[b',
    '/{*}/*',
  ]) {
    it(`rejects ${template}`, () => {
      expect(parsePathTemplate(template)).to.equal(undefined);
    });
  }
});

describe('effectiveTemplate', () => {
  for (const [written, effective] of [
    ['/a/{*}/b/{**}', '/a/{*}/b/{**}'],
    ['/{*}{*}', '/{**}'],
    ['/a/{*}*', '/a/{**}'],
    ['/*/{*}/**', '/{*}/{*}/{**}'],
    ['/{**}{*}', '/***'],
    ['/{*}.json', '/*.json'],
    ['/{id}/{*}', '/{id}/{*}'],
    ['/{{**}}', '/{{**}}'],
  ] as const) {
    it(`${written} becomes ${effective}`, () => {
      expect(effectiveTemplate(written)).to.equal(effective);
    });
  }

  it('does not create an operator from nested braces', () => {
    expect(parsePathTemplate(effectiveTemplate('/{{**}}'))).to.equal(undefined);
  });
});
