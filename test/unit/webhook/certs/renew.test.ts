/* When the webhook's certificates are renewed, and that no step breaks a TLS handshake. */
import { X509Certificate } from 'node:crypto';
import { expect } from 'chai';
import { issueAuthority, issueServing } from '../../../../src/webhook/certs/issue.ts';
import { type Certificates, renewCertificates, servingExpiryMs, trustBundle } from '../../../../src/webhook/certs/renew.ts';

const DAY_MS = 86_400_000;
const START_MS = Date.UTC(2026, 0, 1);
const dnsNames = ['sallyport.sallyport-system.svc', 'sallyport.sallyport-system.svc.cluster.local'];

function at(days: number, isTrusted = true): { nowMs: number; dnsNames: readonly string[]; isTrusted: boolean } {
  return { nowMs: START_MS + days * DAY_MS, dnsNames, isTrusted };
}

/** Whether the serving certificate is trusted by the CA bundle. */
function handshakes(certificates: Certificates): boolean {
  const serving = new X509Certificate(certificates.serving.certPem);
  const authorities = trustBundle(certificates).match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n/g) ?? [];
  return authorities.some((pem) => serving.checkIssued(new X509Certificate(pem)) && serving.verify(new X509Certificate(pem).publicKey));
}

describe('renewCertificates', () => {
  it('issues an authority for a year and a serving certificate for 30 days when there is nothing', async () => {
    const made = await renewCertificates(undefined, at(0, false));

    const authority = new X509Certificate(made.authority.certPem);
    const serving = new X509Certificate(made.serving.certPem);
    expect(authority.ca).to.equal(true);
    expect(authority.validToDate.getTime()).to.equal(START_MS + 365 * DAY_MS);
    expect(servingExpiryMs(made)).to.equal(START_MS + 30 * DAY_MS);
    expect(serving.ca).to.equal(false);
    expect(dnsNames.map((name) => serving.checkHost(name))).to.deep.equal(dnsNames);
    expect(serving.checkHost('other.sallyport-system.svc')).to.equal(undefined);
    expect(handshakes(made)).to.equal(true);
  });

  it('renews the serving certificate 10 days before its expiry, and not earlier', async () => {
    const made = await renewCertificates(undefined, at(0));

    expect(await renewCertificates(made, at(19))).to.equal(made);
    const renewed = await renewCertificates(made, at(21));
    expect(renewed.authority).to.equal(made.authority);
    expect(servingExpiryMs(renewed)).to.equal(START_MS + 51 * DAY_MS);
  });

  it('replaces the authority without an untrusted certificate at any step', async () => {
    const authority = await issueAuthority(START_MS, 365 * DAY_MS);
    const serving = await issueServing(authority, dnsNames, { nowMs: START_MS + 270 * DAY_MS, validMs: 30 * DAY_MS });
    const old: Certificates = { authority, serving };

    const both = await renewCertificates(old, at(276));
    expect(both.previousAuthorityPem).to.equal(authority.certPem);
    expect(both.serving, 'still signed by the previous authority').to.equal(serving);
    expect(handshakes(both)).to.equal(true);

    expect(await renewCertificates(both, at(276.5, false)), 'not before it is in every caBundle').to.equal(both);
    expect(await renewCertificates(both, at(276.001)), 'not before API servers had time to load it').to.equal(both);

    const moved = await renewCertificates(both, at(276.5));
    expect(moved.serving).to.not.deep.equal(serving);
    expect(moved.previousAuthorityPem).to.equal(authority.certPem);
    expect(handshakes({ ...moved, authority: both.authority })).to.equal(true);

    const alone = await renewCertificates(moved, at(277.5));
    expect(alone).to.deep.equal({ authority: both.authority, serving: moved.serving });
    expect(handshakes(alone)).to.equal(true);
    expect(await renewCertificates(alone, at(278))).to.equal(alone);
  });

  it('does not wait for trust when the serving certificate has expired', async () => {
    const authority = await issueAuthority(START_MS, 365 * DAY_MS);
    const serving = await issueServing(authority, dnsNames, { nowMs: START_MS + 240 * DAY_MS, validMs: 30 * DAY_MS });
    const both = await renewCertificates({ authority, serving }, at(276));

    const renewed = await renewCertificates(both, at(276, false));

    expect(servingExpiryMs(renewed)).to.equal(START_MS + 306 * DAY_MS);
  });

  it('issues a new serving certificate for other names', async () => {
    const made = await renewCertificates(undefined, at(0));

    const renewed = await renewCertificates(made, { ...at(1), dnsNames: ['renamed.sallyport-system.svc'] });

    expect(renewed.authority).to.equal(made.authority);
    expect(new X509Certificate(renewed.serving.certPem).checkHost('renamed.sallyport-system.svc')).to.be.a('string');
  });

  const broken: readonly (readonly [string, (made: Certificates) => Certificates])[] = [
    ['an authority that is not a certificate', (made) => ({ ...made, authority: { ...made.authority, certPem: 'x' } })],
    ['an authority without its key', (made) => ({ ...made, authority: { ...made.authority, keyPem: made.serving.keyPem } })],
  ];
  for (const [name, breakIt] of broken) {
    it(`issues everything again for ${name}`, async () => {
      const made = await renewCertificates(undefined, at(0));

      const renewed = await renewCertificates(breakIt(made), at(0));

      expect(renewed.authority.certPem).to.not.equal(made.authority.certPem);
      expect(handshakes(renewed)).to.equal(true);
    });
  }

  it('keeps the authority when only the serving certificate is damaged', async () => {
    const made = await renewCertificates(undefined, at(0));

    const renewed = await renewCertificates({ ...made, serving: { certPem: '', keyPem: '' } }, at(0));

    expect(renewed.authority).to.equal(made.authority);
    expect(handshakes(renewed)).to.equal(true);
  });

  it('issues everything again when the authority has expired', async () => {
    const made = await renewCertificates(undefined, at(0));

    const renewed = await renewCertificates(made, at(366));

    expect(renewed.previousAuthorityPem).to.equal(undefined);
    expect(new X509Certificate(renewed.authority.certPem).validToDate.getTime()).to.equal(START_MS + 731 * DAY_MS);
  });
});
