/*
 * What the webhook's certificates should be now. In: those that exist, the time, and whether API servers trust the newest
 * authority yet. Out: those that should exist, the very same when nothing is due. Called by the keeper on the leader.
 *
 * An authority is replaced in steps, so that no handshake fails on the way: a new one is made and told to the API servers
 * beside the old one; when they know it, it signs a new serving certificate; later the old one is dropped.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { BACKDATE_MS, issueAuthority, issueServing, type KeyPair } from './issue.ts';

/** All that is kept in the Secret. */
export interface Certificates {
  readonly authority: KeyPair;
  /** The authority before this one, while it is still trusted; absent: none. */
  readonly previousAuthorityPem?: string;
  readonly serving: KeyPair;
}

export interface RenewalContext {
  readonly nowMs: number;
  /** Names under which API servers call the webhook. */
  readonly dnsNames: readonly string[];
  /** Is the current authority in the `caBundle` of every webhook configuration? */
  readonly isTrusted: boolean;
}

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 365;
const AUTHORITY_RENEW_DAYS = 90;
const SERVING_DAYS = 30;
const SERVING_RENEW_DAYS = 10;
/** API servers learn of a changed webhook configuration by a watch; this is ample. */
const SETTLE_MS = 10 * 60_000;
/** The old authority stays trusted for a while after nothing signed by it is served any more. */
const OVERLAP_MS = DAY_MS;

/** @param current undefined: none, or not readable */
export async function renewCertificates(current: Certificates | undefined, context: RenewalContext): Promise<Certificates> {
  const { nowMs } = context;
  const authority = current === undefined ? undefined : readCertificate(current.authority);
  if (current === undefined || authority === undefined || expiryOf(authority) <= nowMs) return startAnew(context);

  if (expiryOf(authority) - nowMs < AUTHORITY_RENEW_DAYS * DAY_MS && current.previousAuthorityPem === undefined) {
    const next = await issueAuthority(nowMs, AUTHORITY_DAYS * DAY_MS);
    return { authority: next, previousAuthorityPem: current.authority.certPem, serving: current.serving };
  }
  const serving = readCertificate(current.serving);
  const isFresh = serving !== undefined && serving.verify(authority.publicKey);
  if (!isFresh && servesFor(serving, current.previousAuthorityPem, context) && !isSettled(authority, context)) return current;
  if (!isFresh || isDue(serving, context)) return { ...current, serving: await issueFor(current.authority, context) };

  if (current.previousAuthorityPem !== undefined && nowMs - startOf(authority) > OVERLAP_MS) {
    return { authority: current.authority, serving: current.serving };
  }
  return current;
}

/** PEM texts of every authority that API servers should trust, newest first, as one text. */
export function trustBundle(certificates: Certificates): string {
  return [certificates.authority.certPem, certificates.previousAuthorityPem ?? ''].join('');
}

/** When the serving certificate ends, in milliseconds since 1970. */
export function servingExpiryMs(certificates: Certificates): number {
  return expiryOf(new X509Certificate(certificates.serving.certPem));
}

async function startAnew(context: RenewalContext): Promise<Certificates> {
  const authority = await issueAuthority(context.nowMs, AUTHORITY_DAYS * DAY_MS);
  return { authority, serving: await issueFor(authority, context) };
}

function issueFor(authority: KeyPair, { dnsNames, nowMs }: RenewalContext): Promise<KeyPair> {
  return issueServing(authority, dnsNames, { nowMs, validMs: SERVING_DAYS * DAY_MS });
}

/** Have API servers had the time to learn of this authority? */
function isSettled(authority: X509Certificate, { isTrusted, nowMs }: RenewalContext): boolean {
  return isTrusted && nowMs - startOf(authority) >= SETTLE_MS;
}

/** Can the certificate signed by the previous authority still be served? */
function servesFor(serving: X509Certificate | undefined, previousPem: string | undefined, context: RenewalContext): boolean {
  if (serving === undefined || previousPem === undefined) return false;
  return (
    hasNames(serving, context.dnsNames) && expiryOf(serving) > context.nowMs && serving.verify(new X509Certificate(previousPem).publicKey)
  );
}

function isDue(serving: X509Certificate, { dnsNames, nowMs }: RenewalContext): boolean {
  return expiryOf(serving) - nowMs < SERVING_RENEW_DAYS * DAY_MS || !hasNames(serving, dnsNames);
}

function hasNames(certificate: X509Certificate, dnsNames: readonly string[]): boolean {
  return dnsNames.every((name) => certificate.checkHost(name, { subject: 'never' }) !== undefined);
}

function expiryOf(certificate: X509Certificate): number {
  return certificate.validToDate.getTime();
}

function startOf(certificate: X509Certificate): number {
  return certificate.validFromDate.getTime() + BACKDATE_MS;
}

/** Undefined when certificate or key cannot be read, or do not belong together. */
function readCertificate(pair: KeyPair): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(pair.certPem);
    return certificate.checkPrivateKey(createPrivateKey(pair.keyPem)) ? certificate : undefined;
  } catch {
    // Damaged or emptied: as good as none, it is made anew.
    return undefined;
  }
}
