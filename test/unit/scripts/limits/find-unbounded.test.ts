import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'chai';
import { BOUNDED_ELSEWHERE } from '../../../../scripts/limits/bounded-elsewhere.ts';
import { findUnbounded } from '../../../../scripts/limits/find-unbounded.ts';

function messages(source: string, path = 'src/agent/a.ts'): readonly string[] {
  return findUnbounded(new Map([[path, source]])).map(({ line, message }) => `${line} ${message}`);
}

describe('containers, timers and bounds without a declared limit', () => {
  const refused: Readonly<Record<string, string>> = {
    'an empty set in a function': 'function f() { const known = new Set(); return (x) => known.add(x); }',
    'an empty map with a type': 'const known = new Map<string, number>();',
    'a map made from an empty array': 'const known = new Map([]);',
    'a field that is a set': "class A { #a = new Set(['x']); }",
    'a field that is an array': 'class A { readonly #a: number[] = []; }',
    'an array of a module': 'const all: number[] = [];',
    'an array that a callback fills': "function f(s) { const all: Buffer[] = []; s.on('data', (x) => all.push(x)); }",
    'an array filled as long as input arrives': 'async function f(s) { const all: Buffer[] = []; for await (const x of s) all.push(x); }',
    'a timer': 'setTimeout(() => {}, 5);',
    'a timer of an object': 'globalThis.setInterval(() => {}, 5);',
    'a timer of a socket': 'socket.setTimeout(5);',
    'a timer of the clock': 'clock.after(5, run);',
    'a signal that times out': 'const signal = AbortSignal.timeout(5);',
    'a limit with a number': 'const MAX_FIELDS = 100;',
    'a limit with a computed number and a type': 'export const MAX_BYTES: number = 60 * 1024;',
    'a period': 'const FLUSH_MS = 100;',
  };
  for (const [name, source] of Object.entries(refused)) {
    it(`are found: ${name}`, () => {
      expect(messages(source)).to.have.length(1);
      expect(messages(source)[0]).to.match(/^1 .*src\/limits\//);
    });
  }

  const allowed: Readonly<Record<string, string>> = {
    'a table that never changes': "const METHODS: ReadonlySet<string> = new Set(['GET']);",
    'a field that is a table': "class A { readonly #a: ReadonlyMap<string, string> = new Map([['a', 'b']]); }",
    'a lookup table of one call': "function f(x) { const names = new Set(x.split(',')); return names.has('a'); }",
    'an array of one call': 'function f(x) { const all: number[] = []; for (const y of x) all.push(y); return all; }',
    'a field that is an empty array for good': 'class A { readonly #a: readonly number[] = []; }',
    'a weak map': 'const lists = new WeakMap<object, string>();',
    'a declared limit': 'const MAX_FIELDS = LIMITS.fields.value;',
    'a container with a limit': 'class A { #a = new BoundedSet<number>(LIMITS.things); }',
  };
  for (const [name, source] of Object.entries(allowed)) {
    it(`are not: ${name}`, () => {
      expect(messages(source)).to.deep.equal([]);
    });
  }

  it('are looked for in the agent and in what it runs', () => {
    const files = new Map([
      ['src/main/agent.ts', "import { a } from '../jwt/a.ts';\nimport type { c } from '../jwt/c.ts';\n"],
      ...['jwt/a.ts', 'jwt/b.ts', 'jwt/c.ts', 'controller/a.ts', 'agent/a.ts'].map((name) => [`src/${name}`, 'setTimeout(f, 5);'] as const),
    ]);
    expect(findUnbounded(files).map(({ path }) => path)).to.deep.equal(['src/jwt/a.ts', 'src/agent/a.ts']);
  });

  it('are not reported where the list of exceptions has as many', () => {
    const field = 'class A { #a = new Map<string, string>(); }';
    const find = (source: string): number =>
      findUnbounded(
        new Map([
          ['src/main/agent.ts', "import '../jwt/token-cache.ts';\nexport { a } from '../jwt/token-cache.ts';"],
          ['src/jwt/token-cache.ts', source],
        ]),
      ).length;
    expect(find(field)).to.equal(0);
    expect(find(`${field}\n${field}`)).to.equal(2);
    expect(find(`${field}\nconst MAX_THINGS = 5;`)).to.equal(1);
  });

  for (const [path, { count }] of BOUNDED_ELSEWHERE) {
    it(`are as many as the list of exceptions says: ${path}`, () => {
      const source = readFileSync(join(import.meta.dirname, '../../../..', path), 'utf8');
      expect(messages(source)).to.have.length(count);
    });
  }
});
