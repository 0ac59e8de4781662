/* The life of the webhook's certificates, told by dates: what is renewed when, and that no step breaks a handshake. */
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

/** Is what is served trusted by what is in the bundle? */
function handshakes(certificates: Certificates): boolean {
  const serving = new X509Certificate(certificates.serving.certPem);
  const authorities = trustBundle(certificates).match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----\n/g) ?? [];
  return authorities.some((pem) => serving.checkIssued(new X509Certificate(pem)) && serving.verify(new X509Certificate(pem).publicKey));
}

describe('renewCertificates', () => {
  it('makes an authority of a year and a certificate of 30 days where there is nothing', async () => {
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

  it('leaves everything alone until 10 days before the end', async () => {
    const made = await renewCertificates(undefined, at(0));

    expect(await renewCertificates(made, at(19))).to.equal(made);
    const renewed = await renewCertificates(made, at(21));
    expect(renewed.authority).to.equal(made.authority);
    expect(servingExpiryMs(renewed)).to.equal(START_MS + 51 * DAY_MS);
  });

  it('walks from one authority to the next without a moment of distrust', async () => {
    const authority = await issueAuthority(START_MS, 365 * DAY_MS);
    const serving = await issueServing(authority, dnsNames, { nowMs: START_MS + 270 * DAY_MS, validMs: 30 * DAY_MS });
    const old: Certificates = { authority, serving };

    const both = await renewCertificates(old, at(276));
    expect(both.previousAuthorityPem).to.equal(authority.certPem);
    expect(both.serving, 'still signed by the old one').to.equal(serving);
    expect(handshakes(both)).to.equal(true);

    expect(await renewCertificates(both, at(276.5, false)), 'not before the API servers know it').to.equal(both);
    expect(await renewCertificates(both, at(276.001)), 'not before they had time to learn it').to.equal(both);

    const moved = await renewCertificates(both, at(276.5));
    expect(moved.serving).to.not.deep.equal(serving);
    expect(moved.previousAuthorityPem).to.equal(authority.certPem);
    expect(handshakes({ ...moved, authority: both.authority })).to.equal(true);

    const alone = await renewCertificates(moved, at(277.5));
    expect(alone).to.deep.equal({ authority: both.authority, serving: moved.serving });
    expect(handshakes(alone)).to.equal(true);
    expect(await renewCertificates(alone, at(278))).to.equal(alone);
  });

  it('does not wait for trust when what is served has ended anyway', async () => {
    const authority = await issueAuthority(START_MS, 365 * DAY_MS);
    const serving = await issueServing(authority, dnsNames, { nowMs: START_MS + 240 * DAY_MS, validMs: 30 * DAY_MS });
    const both = await renewCertificates({ authority, serving }, at(276));

    const renewed = await renewCertificates(both, at(276, false));

    expect(servingExpiryMs(renewed)).to.equal(START_MS + 306 * DAY_MS);
  });

  it('issues anew for other names', async () => {
    const made = await renewCertificates(undefined, at(0));

    const renewed = await renewCertificates(made, { ...at(1), dnsNames: ['renamed.sallyport-system.svc'] });

    expect(renewed.authority).to.equal(made.authority);
    expect(new X509Certificate(renewed.serving.certPem).checkHost('renamed.sallyport-system.svc')).to.be.a('string');
  });

  const broken: readonly (readonly [string, (made: Certificates) => Certificates])[] = [
    ['an authority that is no certificate', (made) => ({ ...made, authority: { ...made.authority, certPem: 'x' } })],
    ['an authority without its key', (made) => ({ ...made, authority: { ...made.authority, keyPem: made.serving.keyPem } })],
  ];
  for (const [name, breakIt] of broken) {
    it(`starts anew after ${name}`, async () => {
      const made = await renewCertificates(undefined, at(0));

      const renewed = await renewCertificates(breakIt(made), at(0));

      expect(renewed.authority.certPem).to.not.equal(made.authority.certPem);
      expect(handshakes(renewed)).to.equal(true);
    });
  }

  it('keeps the authority when only what is served is damaged', async () => {
    const made = await renewCertificates(undefined, at(0));

    const renewed = await renewCertificates({ ...made, serving: { certPem: '', keyPem: '' } }, at(0));

    expect(renewed.authority).to.equal(made.authority);
    expect(handshakes(renewed)).to.equal(true);
  });

  it('starts anew after the authority has ended', async () => {
    const made = await renewCertificates(undefined, at(0));

    const renewed = await renewCertificates(made, at(366));

    expect(renewed.previousAuthorityPem).to.equal(undefined);
    expect(new X509Certificate(renewed.authority.certPem).validToDate.getTime()).to.equal(START_MS + 731 * DAY_MS);
  });
});
