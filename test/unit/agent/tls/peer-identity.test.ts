/* Names of certificates, compared with what OpenSSL prints for the same bytes. */
import { spawnSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { forwardedElement, identityOf, isOfTrustDomain } from '../../../../src/agent/tls/peer-identity.ts';
import { parseClientCertHeader } from '../../../../src/http/normalize/client-cert-header.ts';
import { issue } from '../../../support/certificates.ts';

const ID = 'spiffe://cluster.local/ns/foo/sa/app';

describe('identityOf', () => {
  it('has the URIs and DNS names of a certificate in its order', async () => {
    const { certPem } = await issue(undefined, { uris: [ID, 'https://a/b'], dnsNames: ['b.example', 'a.example'] });

    expect(identityOf(new X509Certificate(certPem))).to.deep.equal({
      uris: [ID, 'https://a/b'],
      dnsNames: ['b.example', 'a.example'],
      subject: '',
    });
  });

  it('is not misled by names that look like a list of names', async () => {
    const uris = ['spiffe://a/b, URI:spiffe://c/d', `x"y\\z',URI:${ID}`, 'spiffe://a/=;"'];
    const { certPem } = await issue(undefined, { uris, dnsNames: [`a, URI:${ID}`] });

    expect(identityOf(new X509Certificate(certPem))).to.deep.include({ uris, dnsNames: [`a, URI:${ID}`] });
  });

  it('has the subject as RFC 2253 writes it', async () => {
    const subjects = [
      'CN=app',
      'C=DE, O=Acme, CN=app',
      'O=a\\, b, CN=x\\+y',
      'CN=Bj\u00f6rn',
      'CN=" a "',
      'O=a+CN=b, C=DE',
      'CN=a \\+ b+O=c',
    ];
    for (const subject of subjects) {
      const { certPem } = await issue(undefined, { subject, uris: [ID] });
      const { stdout, error } = spawnSync('openssl', ['x509', '-noout', '-subject', '-nameopt', 'RFC2253'], {
        input: certPem,
        encoding: 'utf8',
      });
      if (error !== undefined) {
        if (process.env['CI'] === 'true') throw error;
        process.stderr.write('NOT CHECKED: subjects of certificates: openssl is not available here\n');
        return;
      }

      expect(identityOf(new X509Certificate(certPem)).subject).to.equal(stdout.replace(/^subject=/, '').replace(/\n$/, ''));
    }
  });
});

describe('isOfTrustDomain', () => {
  it('takes one SPIFFE ID of a domain, whatever the other URIs are', () => {
    const has = (...uris: readonly string[]): boolean => isOfTrustDomain({ uris, dnsNames: [], subject: '' }, ['a.example', 'b']);

    expect(has('spiffe://a.example/ns/x/sa/y')).to.equal(true);
    expect(has('https://z', 'spiffe://b/x')).to.equal(true);
    expect(has()).to.equal(false);
    expect(has('spiffe://a.example')).to.equal(false);
    expect(has('spiffe://a.example.evil/x', 'http://a.example/', 'spiffe://A.example/x', ' spiffe://b/x')).to.equal(false);
  });
});

describe('forwardedElement', () => {
  it('is one element with the same names for those who read the header', async () => {
    const uris = [ID, 'spiffe://a/b,URI=spiffe://c/d;x="y"'];
    const { certPem } = await issue(undefined, { uris, dnsNames: ['a.example'], subject: 'O=a\\, b, CN=x' });
    const certificate = new X509Certificate(certPem);
    const identity = identityOf(certificate);
    const element = forwardedElement(certificate, identity, 'spiffe://cluster.local/ns/foo/sa/own');

    expect(element).to.match(/^By=spiffe:\/\/cluster\.local\/ns\/foo\/sa\/own;Hash=[0-9a-f]{64};Subject="CN=x,O=a\\, b";URI=/);
    expect(parseClientCertHeader(`URI=spiffe://forged/x,${element}`)).to.deep.equal(identity);
  });

  it('keeps the field of the URI without one, and leaves out an unknown own URI', async () => {
    const certificate = new X509Certificate((await issue(undefined, { subject: 'CN=x' })).certPem);

    expect(forwardedElement(certificate, identityOf(certificate), '')).to.match(/^Hash=[0-9a-f]{64};Subject="CN=x";URI=$/);
  });
});
