/*
 * Decides which certificates the webhook should have now, given the existing ones, the time, and whether API servers trust the
 * current authority. Pure except for the issued keys; the rotator calls it on the leader.
 *
 * An authority is replaced in steps, so that no handshake fails: a new authority is added to the `caBundle` next to the old
 * one; once API servers trust it, it signs a new serving certificate; later the old authority is removed.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { BACKDATE_MS, issueAuthority, issueServing, type KeyPair } from './issue.ts';

/** The certificates in the Secret. */
export interface Certificates {
  readonly authority: KeyPair;
  /** Previous authority, as long as it is still trusted; absent: none. */
  readonly previousAuthorityPem?: string;
  readonly serving: KeyPair;
}

/** Input of the renewal decision. */
export interface RenewalContext {
  /** Current time in milliseconds since the epoch. */
  readonly nowMs: number;
  /** Names under which API servers call the webhook. */
  readonly dnsNames: readonly string[];
  /** Whether the current authority is in the `caBundle` of every webhook. */
  readonly isTrusted: boolean;
}

const DAY_MS = 86_400_000;
const AUTHORITY_DAYS = 365;
const AUTHORITY_RENEW_DAYS = 90;
const SERVING_DAYS = 30;
const SERVING_RENEW_DAYS = 10;
/** API servers watch webhook configurations; they have loaded a change long before this delay. */
const SETTLE_MS = 10 * 60_000;
/** How long the previous authority stays trusted after the new one was issued. */
const OVERLAP_MS = DAY_MS;

/**
 * Returns the certificates that should be stored now, and `current` itself if nothing is due.
 * @param current undefined if the Secret has no complete set
 */
export async function renewCertificates(current: Certificates | undefined, context: RenewalContext): Promise<Certificates> {
  const { nowMs } = context;
  const authority = current === undefined ? undefined : readCertificate(current.authority);
  if (current === undefined || authority === undefined || expiryOf(authority) <= nowMs) return issueAll(context);

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

/** PEM of all authorities that API servers should trust, newest first. */
export function trustBundle(certificates: Certificates): string {
  return [certificates.authority.certPem, certificates.previousAuthorityPem ?? ''].join('');
}

/** Expiry of the serving certificate, in milliseconds since the epoch. */
export function servingExpiryMs(certificates: Certificates): number {
  return expiryOf(new X509Certificate(certificates.serving.certPem));
}

async function issueAll(context: RenewalContext): Promise<Certificates> {
  const authority = await issueAuthority(context.nowMs, AUTHORITY_DAYS * DAY_MS);
  return { authority, serving: await issueFor(authority, context) };
}

function issueFor(authority: KeyPair, { dnsNames, nowMs }: RenewalContext): Promise<KeyPair> {
  return issueServing(authority, dnsNames, { nowMs, validMs: SERVING_DAYS * DAY_MS });
}

/** Whether API servers have had enough time to load this authority. */
function isSettled(authority: X509Certificate, { isTrusted, nowMs }: RenewalContext): boolean {
  return isTrusted && nowMs - startOf(authority) >= SETTLE_MS;
}

/** Whether the certificate signed by the previous authority can still be served. */
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

/** Undefined if certificate or key cannot be parsed, or do not match. */
function readCertificate(pair: KeyPair): X509Certificate | undefined {
  try {
    const certificate = new X509Certificate(pair.certPem);
    return certificate.checkPrivateKey(createPrivateKey(pair.keyPem)) ? certificate : undefined;
  } catch {
    // Damaged or empty: the caller issues a new one.
    return undefined;
  }
}
