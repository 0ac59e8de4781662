import { expect } from 'chai';
import { findViolations } from '../../../../scripts/dependencies/find-violations.ts';

/** The rules that a file with this text breaks. */
function planted(path: string, source: string): readonly string[] {
  return findViolations(new Map([[path, source]]))
    .map(({ rule }) => rule)
    .filter((rule) => !/^(no such package|unused:) /.test(rule));
}

describe('dependency rule', () => {
  describe('refuses an arrow that the table does not list', () => {
    const forms: Readonly<Record<string, string>> = {
      'a static import': "import { createKubeClient } from '../cluster/client.ts';",
      'a side-effect import': "import '../cluster/client.ts';",
      'a type import': "import type { KubeClient } from '../cluster/client.ts';",
      'an inline type import': "import { type KubeClient } from '../cluster/client.ts';",
      'an export from': "export { createKubeClient } from '../cluster/client.ts';",
      'an export of everything': "export * from '../cluster/client.ts';",
      'a type export': "export type { KubeClient } from '../cluster/client.ts';",
      'a dynamic import': "const client = await import('../cluster/client.ts');",
      'an import type expression': "type Client = import('../cluster/client.ts').KubeClient;",
      'an import by require': "import client = require('../cluster/client.ts');",
      'a call of require': "const client = require('../cluster/client.ts');",
    };
    for (const [form, source] of Object.entries(forms)) {
      it(`written as ${form}`, () => {
        expect(planted('src/compile/planted.ts', source)).to.deep.equal(['compile -> cluster']);
      });
    }

    it('between directories of the agent', () => {
      expect(planted('src/agent/net/planted.ts', "import '../exchange/exchange.ts';")).to.deep.equal(['agent/net -> agent/exchange']);
      expect(planted('src/agent/bundles/planted.ts', "import '../http1/framing.ts';")).to.deep.equal(['agent/bundles -> agent/http1']);
    });

    it('at run time when only its types are allowed', () => {
      expect(planted('src/policy/planted.ts', "import '../api/mesh-config.ts';")).to.deep.equal(['policy -> api (types only)']);
      expect(planted('src/policy/planted.ts', "import { type MeshConfig } from '../api/mesh-config.ts';")).to.include(
        'policy -> api (types only)',
      );
      expect(planted('src/policy/planted.ts', "import type { MeshConfig } from '../api/mesh-config.ts';")).to.deep.equal([]);
    });

    it('out of src', () => {
      expect(planted('src/policy/planted.ts', "import '../../test/support/fake-clock.ts';")).to.include(
        'policy -> test/support/fake-clock.ts',
      );
      expect(planted('src/policy/planted.ts', "import '../../package.json';")).to.deep.equal(['policy -> package.json']);
    });
  });

  describe('refuses a package that the table does not list', () => {
    it('as a new top-level directory', () => {
      expect(planted('src/extra/planted.ts', 'export const extra = 1;')).to.deep.equal(['unknown package src/extra']);
    });

    it('as an import of a new top-level directory', () => {
      expect(planted('src/policy/planted.ts', "import '../extra/planted.ts';")).to.deep.equal(['policy -> src/extra/planted.ts']);
    });

    it('as a new top-level file', () => {
      expect(planted('src/extra.ts', 'export const extra = 1;')).to.deep.equal(['unknown package src/extra.ts']);
    });

    it('as a new directory of the agent', () => {
      expect(planted('src/agent/extra/planted.ts', 'export const extra = 1;')).to.deep.equal(['unknown package src/agent/extra']);
    });

    it('as a row without files', () => {
      const packages = { 'errors.ts': { job: '' }, gone: { job: '' } };
      expect(findViolations(new Map([['src/errors.ts', '']]), packages).map(({ rule }) => rule)).to.deep.equal(['no such package gone']);
    });
  });

  describe('refuses more than the imports need', () => {
    const sources = new Map([
      ['src/a/one.ts', "import type { B } from '../b/one.ts'; import type { Server } from 'node:net';"],
      ['src/b/one.ts', ''],
    ]);

    it('as an arrow without an import', () => {
      const packages = { a: { job: '', types: ['b'], nodeTypes: ['node:net'] }, b: { job: '', npm: ['zod'], node: ['node:fs'] } };
      expect(findViolations(sources, packages).map(({ rule }) => rule)).to.deep.equal(['unused: b -> node:fs', 'unused: b -> zod']);
    });

    it('as an arrow for values that only types use', () => {
      const packages = { a: { job: '', imports: ['b'], node: ['node:net'] }, b: { job: '' } };
      expect(findViolations(sources, packages).map(({ rule }) => rule)).to.deep.equal(['unused: a -> b', 'unused: a -> node:net']);
    });
  });

  describe('refuses a module that the table does not list', () => {
    it('from npm', () => {
      expect(planted('src/agent/planted.ts', "import 'prom-client';")).to.deep.equal(['agent -> prom-client']);
      expect(planted('src/agent/planted.ts', "import { parse } from 'yaml';")).to.deep.equal(['agent -> yaml']);
      expect(planted('src/agent/planted.ts', "import type { Document } from 'yaml';")).to.deep.equal(['agent -> yaml']);
      expect(planted('src/jwt/planted.ts', "import { jwtVerify } from 'jose';")).to.deep.equal(['jwt -> jose']);
    });

    it('deep inside an npm package', () => {
      expect(planted('src/cluster/planted.ts', "import '@kubernetes/client-node/dist/config.js';")).to.deep.equal([
        'cluster -> @kubernetes/client-node/dist/config.js',
      ]);
      expect(planted('src/config/planted.ts', "import { z } from 'zod/v4';")).to.deep.equal(['config -> zod/v4']);
      expect(planted('src/jwt/planted.ts', "import 'jose/jwt/verify';")).to.deep.equal(['jwt -> jose/jwt/verify']);
      expect(planted('src/bundle/planted.ts', "import { z } from 'zod';")).to.deep.equal(['bundle -> zod']);
    });

    it('from Node.js', () => {
      expect(planted('src/policy/planted.ts', "import { connect } from 'node:net';")).to.deep.equal(['policy -> node:net']);
      expect(planted('src/policy/planted.ts', "import { connect } from 'net';")).to.deep.equal(['policy -> net']);
      expect(planted('src/jwt/planted.ts', "process.getBuiltinModule('node:net');")).to.deep.equal(['jwt -> node:net']);
      expect(planted('src/agent/http1/planted.ts', "import { connect } from 'node:net';")).to.deep.equal(['agent/http1 -> node:net']);
    });

    it('by a computed specifier', () => {
      expect(planted('src/jwt/planted.ts', 'const name = "node:net"; await import(name);')).to.deep.equal(['jwt -> a computed specifier']);
      expect(planted('src/jwt/planted.ts', 'await import(`node:net`);')).to.deep.equal(['jwt -> a computed specifier']);
    });
  });

  describe('refuses a cycle', () => {
    const packages = { a: { job: '', imports: ['b'] }, b: { job: '', imports: ['a'], types: ['a'] } };

    it('between packages', () => {
      const files = new Map([
        ['src/a/one.ts', "import '../b/one.ts';"],
        ['src/b/one.ts', "import '../a/one.ts';"],
      ]);
      expect(findViolations(files, packages).map(({ rule }) => rule)).to.include('cycle: package a package b');
    });

    it('between packages by types only', () => {
      const files = new Map([
        ['src/a/one.ts', "import type { One } from '../b/one.ts';"],
        ['src/b/two.ts', "import type { One } from '../a/one.ts';"],
      ]);
      expect(findViolations(files, packages).map(({ rule }) => rule)).to.include('cycle: package a package b');
    });

    it('between directories of one package', () => {
      const files = new Map([
        ['src/a/in/one.ts', "import type { One } from '../out/one.ts';"],
        ['src/a/out/two.ts', "import type { Two } from '../in/two.ts';"],
        ['src/b/one.ts', ''],
      ]);
      expect(findViolations(files, packages).map(({ rule }) => rule)).to.include('cycle: src/a/in src/a/out');
    });

    it('between a directory and one below it', () => {
      const files = new Map([
        ['src/a/one.ts', "import './in/one.ts';"],
        ['src/a/in/one.ts', "import '../two.ts';"],
        ['src/b/one.ts', ''],
      ]);
      expect(findViolations(files, packages).map(({ rule }) => rule)).to.include('cycle: src/a src/a/in');
    });
  });
});
