/*
 * What commands print about names, values and files that are chosen to be interpreted by a terminal or a CI service.
 */

import { join } from 'node:path';
import { expect } from 'chai';
import { parseSync } from 'oxc-parser';
import { parse as parseYaml } from 'yaml';
import { readSources } from '../../../../scripts/dependencies/read-sources.ts';
import { runCommand } from '../../../support/cli-context.ts';
import { TRUST_ANCHOR_FILE } from '../../../support/guarded-pods.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const EVIL = 'x\n::error::a\r::warning::b\u001b[2J\u0007\u009b1m\u202e\u2066\u2028##vso[task.setvariable]##[error]\ud800-\u{e0041}\t';
const json = (value: unknown): string => JSON.stringify(value);

function policy(name: string, spec: object): string {
  return json({
    apiVersion: 'security.istio.io/v1',
    kind: 'AuthorizationPolicy',
    metadata: { name, namespace: EVIL, annotations: { [EVIL]: EVIL } },
    spec,
  });
}

const values = { hosts: [EVIL], paths: [`/${EVIL}`], methods: [EVIL, 'get'], ports: [EVIL] };
const workload = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: EVIL, namespace: 'foo' },
  spec: { template: { metadata: { labels: { app: EVIL } }, spec: { containers: [{ name: EVIL, image: EVIL }] } } },
};
const valid = json({
  apiVersion: 'security.istio.io/v1',
  kind: 'AuthorizationPolicy',
  metadata: { name: EVIL, namespace: 'foo' },
  spec: { rules: [{ to: [{ operation: { paths: [`/${EVIL}`] } }], when: [{ key: 'request.headers[x]', values: [EVIL] }] }] },
});
const invalid = json({
  ...JSON.parse(policy(EVIL, {})),
  [EVIL]: 1,
  spec: { [EVIL]: 1, rules: [{ [EVIL]: 1, to: [{ operation: values }] }] },
});
const authentication = json({
  apiVersion: 'security.istio.io/v1',
  kind: 'RequestAuthentication',
  metadata: { name: EVIL, namespace: 'foo' },
  spec: {
    jwtRules: [
      { issuer: EVIL, jwks: EVIL },
      { issuer: EVIL, jwksUri: EVIL },
    ],
  },
});
/** No file name can contain a NUL, a slash or half a surrogate pair. */
const FILE = '::error::\n\u001b[2J\r\u202e##vso[x].yaml';
const TABLE = '::error::\n\u001b[2J\r\u202e##vso[x].sallyport-test.yaml';
const FILES = {
  [`p/${FILE}`]: invalid,
  'p/valid.json': `${valid}`,
  'p/workload.json': json(workload),
  'p/authentication.json': authentication,
  'p/broken.yaml': `a: "\u0085${FILE}\n b: [`,
  'q/valid.json': valid,
  'q/workload.json': json({ ...workload, metadata: { name: 'web', namespace: 'foo' } }),
  [`q/${TABLE}`]: json({
    workload: 'foo/web',
    tests: [{ name: EVIL, request: { path: '/x', headers: { x: '\u0085::error::' } }, expect: { verdict: 'allow', policy: EVIL } }],
  }),
  'r/valid.json': valid.replace('ALLOW', 'DENY').replace('paths', 'notPaths'),
  'r/workload.json': json({ ...workload, metadata: { name: 'web', namespace: 'foo' } }),
};

const COMMANDS: Readonly<Record<string, readonly [args: readonly string[], formats: readonly string[]]>> = {
  'check of invalid objects': [
    ['check', 'p'],
    ['table', 'json', 'yaml', 'sarif'],
  ],
  'check with a suppression': [['check', '--suppress', 'SP_SCHEMA=a/b/c', 'p', 'q'], ['table']],
  'check of a missing file': [
    ['check', `missing${EVIL.replaceAll('\ud800', '')}`],
    ['table', 'json'],
  ],
  'compile of invalid objects': [
    ['compile', 'p'],
    ['table', 'json', 'yaml'],
  ],
  compile: [
    ['compile', 'q'],
    ['table', 'json', 'yaml'],
  ],
  'explain of a hostile header': [
    ['explain', 'q', '--url', '/x', '-H', 'x: \u0085::error::\u009b'],
    ['table', 'json', 'yaml'],
  ],
  'explain of invalid objects': [['explain', 'p', '--url', '/x'], ['table']],
  test: [
    ['test', 'q'],
    ['table', 'json', 'yaml', 'junit', 'tap'],
  ],
  diff: [
    ['diff', 'q', 'r', '--generate', '30'],
    ['table', 'json', 'yaml'],
  ],
  'diff of invalid objects': [['diff', 'p', 'q', '--generate', '30'], ['table']],
};

/** Line breaks are the only control character that a command writes without a terminal. */
function expectHarmless(text: string): void {
  expect(text.match(/(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu) ?? []).to.deep.equal([]);
  expect(text.split('\n').filter((line) => line.trim().startsWith('::'))).to.deep.equal([]);
  expect(text.match(/##(vso|teamcity)?\[/gi) ?? []).to.deep.equal([]);
}

describe('hostile names, values and files', () => {
  for (const [name, [args, formats]] of Object.entries(COMMANDS)) {
    for (const format of formats) {
      it(`are harmless in the output of ${name} as ${format}`, async () => {
        const { stdout, stderr } = await withDirectory(FILES, (cwd) => runCommand([...args, '-o', format], { cwd }));

        expectHarmless(stdout);
        expectHarmless(stderr);
        expect(stdout + stderr).to.include('::error::');
        if (format === 'json' || format === 'sarif') JSON.parse(stdout);
        if (format === 'yaml' && stdout !== '') parseYaml(stdout);
      });
    }
  }

  it('are the same values in JSON and in YAML', async () => {
    const read = (format: string): Promise<unknown> =>
      withDirectory(FILES, async (cwd) => parseYaml((await runCommand(['check', 'p', '-o', format], { cwd })).stdout));

    expect(await read('yaml')).to.deep.equal(await read('json'));
  });

  it('are harmless in the messages of inject', async () => {
    const files = {
      'a.yaml': json({
        ...workload,
        spec: { template: { metadata: { annotations: { 'sallyport.dev/log-level': EVIL } }, spec: workload.spec.template.spec } },
      }),
    };
    const { stderr } = await withDirectory(files, (cwd) =>
      runCommand(['inject', '--trust-anchor', TRUST_ANCHOR_FILE, '-f', 'a.yaml'], { cwd }),
    );

    expectHarmless(stderr);
  });
});

describe('the streams of a command', () => {
  it('are written by the files of cli/terminal only', () => {
    const root = join(import.meta.dirname, '../../../..');
    const writers = [...readSources(root, 'src/cli')].filter(([path, text]) =>
      /"property":\{[^{}]*"name":"write"|"name":"console"/.test(JSON.stringify(parseSync(path, text).program)),
    );

    expect(writers.map(([path]) => path)).to.have.members(['src/cli/terminal/progress.ts', 'src/cli/terminal/writers.ts']);
  });
});
