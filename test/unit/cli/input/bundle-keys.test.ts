/* The keys of a bundle, as explain shows them. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'chai';
import { createTestKey } from '../../../../src/explain/test-key.ts';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const key = createTestKey();
const [set] = Object.values(key.keySetsFor({ providers: [{ keySet: 'one' }] } as unknown as Parameters<typeof key.keySetsFor>[0]));
const KEYS = JSON.stringify({ keys: set?.keys });
const TOKEN = key.sign({ iss: 'https://i.example', sub: 'alice', exp: 4_000_000_000 });
const UNKNOWN_KID = `${Buffer.from('{"alg":"ES256","kid":"other"}').toString('base64url')}.${TOKEN.split('.').slice(1).join('.')}`;

function manifests(rule: string): Readonly<Record<string, string>> {
  return {
    'a.yaml': `apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: jwt, namespace: foo }
spec: { jwtRules: [{ issuer: "https://i.example", ${rule} }] }
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: foo }
spec: { template: { metadata: { labels: { app: web } } } }
`,
    'keys.json': KEYS,
  };
}

const REMOTE = 'jwksUri: "https://i.example/keys"';
const INLINE = `jwks: '${KEYS}'`;

/** Explains a request with `token` under the bundle that `compile` prints, or under that bundle in a ConfigMap. */
async function explainBundle(rule: string, form: 'compiled' | 'published', token: string, ...flags: readonly string[]): Promise<CliResult> {
  return withDirectory(manifests(rule), async (cwd) => {
    const { stdout } = await runCommand(['compile', 'a.yaml', '-o', 'json'], { cwd });
    const { items } = JSON.parse(stdout) as { readonly items: readonly { readonly bundle: object; readonly digest: string }[] };
    const bundle = JSON.stringify(items[0]?.bundle);
    const data = { 'bundle.json': bundle, 'bundle.sha256': items[0]?.digest };
    const published = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'sallyport-web', namespace: 'foo' }, data };
    await writeFile(join(cwd, 'b.json'), form === 'compiled' ? stdout : JSON.stringify(published));
    return runCommand(['explain', '--bundle', 'b.json', '--url', '/', '--token', token, ...flags], { cwd });
  });
}

describe('explain --bundle', () => {
  it('says that agents refuse every token of a rule without keys when the bundle was published', async () => {
    const { stdout } = await explainBundle(REMOTE, 'published', TOKEN);

    expect(stdout).to.match(/^unauthenticated 401 /);
    expect(stdout).to.contain('the bundle has no keys for this rule, so agents refuse every token for it');
    expect(stdout).to.contain('note: the bundle has no keys for RequestAuthentication foo/jwt jwtRules[0]: none had been fetched');
    expect(stdout).to.not.contain('unknown');
  });

  it('says that the verdict is unknown when compile printed the bundle, which fetches no keys', async () => {
    const { stdout } = await explainBundle(REMOTE, 'compiled', TOKEN);

    expect(stdout).to.contain('unknown: give --jwks');
    expect(stdout).to.contain('compile fetches none; give --jwks');
  });

  for (const form of ['compiled', 'published'] as const) {
    it(`takes the keys of --jwks for a rule whose keys a ${form} bundle lacks`, async () => {
      const { stdout } = await explainBundle(REMOTE, form, TOKEN, '--jwks', 'keys.json');

      expect(stdout).to.match(/^allow /);
      expect(stdout).to.contain('token of https://i.example/alice accepted').and.contain('those of --jwks are assumed');
    });
  }

  it('names an inline key set that was left out, and takes no other keys for it', async () => {
    const unusable = `jwks: '{"keys":[{"kty":"RSA","kid":"a","n":"wShktHIe","e":"AQAB"}]}'`;
    const { stdout } = await explainBundle(unusable, 'published', TOKEN, '--jwks', 'keys.json');

    expect(stdout).to.match(/^unauthenticated 401 /);
    expect(stdout).to.contain('none in its jwks can be used, or the policy is over its budget; every token for it is refused with 401');
  });

  it('says where a key of a published set that is not in the bundle is named', async () => {
    const published = await explainBundle(INLINE, 'published', UNKNOWN_KID);
    const compiled = await explainBundle(INLINE, 'compiled', UNKNOWN_KID);

    expect(published.stdout).to.contain('the token has kid other').and.contain('is named in the status of the policy');
    expect(compiled.stdout).to.contain('the token has kid other').and.not.contain('status of the policy');
  });
});

describe('the keys of --jwks', () => {
  it('are named when they are not used', async () => {
    const odd = JSON.stringify({ keys: [...(set?.keys ?? []), { kty: 'x', kid: 'odd' }] });
    const files = { ...manifests(REMOTE), 'odd.json': odd };
    const { stderr, stdout } = await withDirectory(files, (cwd) =>
      runCommand(['explain', 'a.yaml', '--url', '/', '--token', TOKEN, '--jwks', 'odd.json'], { cwd }),
    );

    expect(stdout).to.match(/^allow /);
    expect(stderr).to.match(/^sallyport: odd\.json: keys of the set are not used: .*odd/m);
  });
});
