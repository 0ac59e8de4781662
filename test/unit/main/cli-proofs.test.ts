/*
 * Ctrl-C while the command line proves something.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { expect } from 'chai';
import { withDirectory } from '../../support/temporary-directory.ts';

const CLI = fileURLToPath(new URL('../../../src/main/cli.ts', import.meta.url));

/** Every request has one of eight values in nine headers, or none of them: that no request is left takes very long to prove. */
function longProof(): readonly object[] {
  const holes = Array.from({ length: 8 }, (_, at) => String(at));
  const pigeons = Array.from({ length: 9 }, (_, at) => `request.headers[x-${at}]`);
  const homeless = pigeons.map((key) => ({ when: [{ key, notValues: holes }] }));
  const pairs = pigeons.flatMap((key, at) => pigeons.slice(at + 1).map((other) => [key, other]));
  const crowded = pairs.flatMap((keys) => holes.map((hole) => ({ when: keys.map((key) => ({ key, values: [hole] })) })));
  return [...homeless, ...crowded];
}

const deployment = (name: string): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name, namespace: 'foo' },
  spec: { template: { metadata: { labels: { app: name } } } },
});

function manifests(rules: readonly object[]): string {
  const policy = {
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name: 'p', namespace: 'foo' },
    spec: { selector: { matchLabels: { app: 'late' } }, rules },
  };
  return JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [deployment('early'), deployment('late'), policy] });
}

const FILES = {
  'a/all.yaml': manifests(longProof()),
  'b/all.yaml': manifests([{}]),
  'invariants.yaml': `invariants:
  - { name: open, workloads: { namespaces: [foo] }, alwaysAllow: [{ to: [{ operation: { methods: [GET] } }] }] }
`,
};

describe('SIGINT to node src/main/cli.ts', () => {
  for (const [args, first, summary] of [
    [['diff', 'a', 'b'], 'foo/deployment/early: same\n', '1 workload: 1 same; stopped, 1 NOT DECIDED\n'],
    [
      ['prove', 'a', '--invariants', 'invariants.yaml'],
      'proven: open, foo/deployment/early\n',
      '1 answer: 1 proven; stopped, 1 NOT DECIDED\n',
    ],
  ] as const) {
    it(`ends ${args[0]} with what is proven so far`, () =>
      withDirectory(FILES, async (cwd) => {
        const child = spawn(process.execPath, [CLI, ...args, '--timeout', '1000'], { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
        const stderr = text(child.stderr);
        const [printed] = (await once(child.stdout, 'data')) as [Buffer];
        child.kill('SIGINT');
        const [code] = (await once(child, 'exit')) as [number];

        expect(printed.toString()).to.equal(first);
        expect(await stderr).to.equal(summary);
        expect(code).to.equal(80);
      }));
  }
});
