/* What `sallyport run` reports about the keys of issuers, with a real key server. */
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect } from 'chai';
import { issueAuthority, issueServing } from '../../../../src/webhook/certs/issue.ts';
import { Collected, runCommand } from '../../../support/cli-context.ts';
import { freshJwks, json, startKeyServer } from '../../../support/key-server.ts';
import { withDirectory } from '../../../support/temporary-directory.ts';

const HOUR_MS = 3_600_000;
const DEADLINE_MS = 60_000;

function manifests(jwksUri: string): string {
  return `apiVersion: apps/v1
kind: Deployment
metadata: { name: api, namespace: shop, annotations: { sallyport.dev/upstream: "127.0.0.1:9" } }
spec: { template: { metadata: { labels: { app: api } } } }
---
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { name: idp, namespace: shop }
spec: { jwtRules: [{ issuer: "https://idp.example", jwksUri: "${jwksUri}" }] }
`;
}

/** Runs the directory until stderr matches, and returns the text; without a match, the text after the deadline. */
async function runUntil(pattern: RegExp, files: Readonly<Record<string, string>>, args: readonly string[] = []): Promise<string> {
  return await withDirectory(files, async (cwd) => {
    const stop = new AbortController();
    const stderr = new Collected();
    const ended = runCommand(['run', 'dir', '--no-access-log', '--log-level', 'silent', ...args], {
      cwd,
      stderr,
      stopSignal: () => stop.signal,
    });
    const deadline = performance.now() + DEADLINE_MS;
    while (!pattern.test(stderr.text) && performance.now() < deadline) await sleep(10);
    stop.abort();
    await ended;
    return stderr.text;
  });
}

describe('sallyport run, about the keys of an issuer', function () {
  this.timeout(120_000);

  it('names a key of a fetched set that is not used, with its kid, its place and the reason', async () => {
    const server = await startKeyServer();
    try {
      const odd = { kty: 'RSA', kid: 'summer', alg: 'RS256', e: 'AQAB', n: 'a+b/c' };
      server.answer('/keys', json({ keys: [...freshJwks('spring').keys, odd] }));
      const pattern =
        /dir\/a\.yaml:9:\d+ +warning +SP_JWKS +RequestAuthentication shop\/idp +spec\.jwtRules\[0\] +keys of the fetched set are not used: keys\[1\] \(kid "summer"\): \[n\] field is an invalid Base64/;

      expect(await runUntil(pattern, { 'dir/a.yaml': manifests(`${server.origin}/keys`) })).to.match(pattern);
    } finally {
      await server.stop();
    }
  });

  describe('behind a certificate of a private authority', () => {
    const issue = async (): Promise<{ readonly ca: string; readonly url: string; readonly close: () => void }> => {
      const authority = await issueAuthority(Date.now(), HOUR_MS);
      const serving = await issueServing(authority, ['localhost'], { nowMs: Date.now(), validMs: HOUR_MS });
      const server = createServer({ key: serving.keyPem, cert: serving.certPem }, (_, response) => {
        response.end(JSON.stringify(freshJwks('one')));
      });
      await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
      const { port } = server.address() as AddressInfo;
      return { ca: authority.certPem, url: `https://localhost:${port}/keys`, close: () => void server.close() };
    };

    it('fetches them with jwks.caFile, and says which sections of the configuration it does not use', async () => {
      const { ca, url, close } = await issue();
      try {
        await withDirectory({ 'ca.pem': ca }, async (trusted) => {
          const config = `jwks: { caFile: ${join(trusted, 'ca.pem')} }\nworkers: 2\n`;
          await writeFile(join(trusted, 'config.yaml'), config);
          const text = await runUntil(/enforcing/, { 'dir/a.yaml': manifests(url) }, ['--config', join(trusted, 'config.yaml')]);

          expect(text).to.match(/shop\/deployment\/api .* enforcing/);
          expect(text).to.include('config.yaml: run does not use workers');
          expect(text).not.to.match(/cannot be fetched|SP_JWKS/);
        });
      } finally {
        close();
      }
    });

    it('names jwks.caFile when the authority is not trusted', async () => {
      const { url, close } = await issue();
      try {
        const text = await runUntil(/jwks\.caFile/, { 'dir/a.yaml': manifests(url) });

        expect(text).to.include('jwks.caFile');
        expect(text).not.to.include('--use-system-ca');
      } finally {
        close();
      }
    });

    it('dials no address of jwks.blockedCidrs', async () => {
      const { url, close } = await issue();
      try {
        const files = { 'dir/a.yaml': manifests(url), 'config.yaml': 'jwks: { blockedCidrs: [127.0.0.0/8, "::1"] }\n' };
        expect(await runUntil(/must not be dialled/, files, ['--config', 'config.yaml'])).to.include('must not be dialled');
      } finally {
        close();
      }
    });
  });
});
