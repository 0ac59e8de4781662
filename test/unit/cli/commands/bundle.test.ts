import { expect } from 'chai';
import { stringify } from 'yaml';
import { slotName } from '../../../../src/api/kube/workload.ts';
import { encodeBundle } from '../../../../src/bundle/encode.ts';
import { mintKeys, signerOf } from '../../../../src/keys/signing-keys.ts';
import { type CliResult, runCommand } from '../../../support/cli-context.ts';
import { CLUSTER, SIGNER, signedFiles } from '../../../support/signing.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';
import { DENY_ALL, simpleBundle } from '../../agent/bundles.ts';

const bundle = encodeBundle(simpleBundle(DENY_ALL));
type Options = Parameters<typeof signedFiles>[1];

/** The ConfigMap of slot 0 as kubectl prints it. */
function configMap(options: Options = {}, over: Readonly<Record<string, string>> = {}): string {
  const files = signedFiles(bundle, options);
  const data = Object.fromEntries(Object.entries(files).map(([name, content]) => [name.replace('0/', ''), content.toString()]));
  const { namespace } = bundle.workload;
  return stringify({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { namespace, name: slotName(bundle.workload, 0) },
    data: { ...data, ...over },
  });
}

function verify(text: string, ...flags: readonly string[]): Promise<CliResult> {
  const files = { 'anchor.json': SIGNER.anchor, 'bundle.yaml': text };
  return withDirectory(files, (cwd) => runCommand(['bundle', 'verify', '--trust-anchor', 'anchor.json', 'bundle.yaml', ...flags], { cwd }));
}

describe('sallyport bundle verify', () => {
  it('accepts what the keys of the anchor signed', async () => {
    const { exitCode, stdout } = await verify(configMap({ number: 7 }));
    expect(exitCode).to.equal(0);
    expect(stdout).to.match(new RegExp(`foo/deployment/httpbin +7 +${bundle.digest.slice(0, 19)} .* valid`));
  });

  const refused: readonly (readonly [string, string, string])[] = [
    ['another part', configMap({}, { part: '{}' }), 'SP_BUNDLE_UNREADABLE'],
    ['no statement', configMap({}, { 'statement.jws': '' }), 'SP_BUNDLE_UNSIGNED'],
    ['other keys', configMap({ signer: signerOf(mintKeys(CLUSTER, Date.now())) }), 'SP_BUNDLE_SIGNATURE'],
    ['another cluster', configMap({ signer: signerOf(mintKeys('other', Date.now())) }), 'SP_BUNDLE_SIGNATURE'],
  ];
  for (const [what, text, code] of refused) {
    it(`refuses ${what} with exit code 79`, async () => {
      const { exitCode, stdout } = await verify(text, '-o', 'json');
      expect(exitCode).to.equal(79);
      expect((JSON.parse(stdout) as { readonly items: readonly { readonly result: string }[] }).items[0]?.result).to.equal(code);
    });
  }

  it('refuses input without a ConfigMap of a bundle with exit code 65', async () => {
    expect((await verify(JSON.stringify({ kind: 'List', items: [{ kind: 'Secret' }] }))).exitCode).to.equal(65);
  });

  it('is what explain reads with --bundle', async () => {
    const { exitCode, stdout } = await withDirectory({ 'b.yaml': configMap() }, (cwd) =>
      runCommand(['explain', '--bundle', 'b.yaml', '--url', '/a'], { cwd }),
    );
    expect(exitCode).to.equal(0);
    expect(stdout).to.match(/^deny 403/);
  });
});
